//! One client at one workload: what a child process does, and what it prints.

use serde::{Deserialize, Serialize};

use crate::args::Task;
use crate::clients::{self, Client, Job, Unable};
use crate::messages;
use crate::meter::{Figures, Meter};
use crate::plan::Shape;
use crate::usage::{anonymous_memory, die_with_parent, raise_descriptors, status};
use crate::{Error, Outcome, apart};

/// What came out, a request unless it says otherwise. Null where it does not
/// apply.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) p50_us: Option<f64>,
    pub(crate) p99_us: Option<f64>,
    pub(crate) wall_us: Option<f64>,
    pub(crate) cpu_us: Option<f64>,
    pub(crate) ctxsw: Option<f64>,
    /// The most there ever was, of the whole process.
    pub(crate) rss_kb: Option<f64>,
    /// The most there ever were.
    pub(crate) threads: Option<f64>,
    pub(crate) bytes_per_conn: Option<f64>,
    pub(crate) alone_p50_us: Option<f64>,
}

impl Sample {
    /// With what the kernel says of this process.
    fn of_this_process(mut self) -> Self {
        self.rss_kb = status("self", "VmHWM").map(|kib| kib as f64);
        self.threads = status("self", "Threads").map(|count| count as f64);
        self
    }
}

/// Prints the sample as JSON, or `null` if this client cannot do that.
pub(crate) fn run(task: &Task) -> Outcome {
    die_with_parent()?;
    raise_descriptors()?;
    apart::prepare();
    if task.workload.is_transfer() {
        apart::client();
    }
    // reqwest takes the process's provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sample = match measure(task) {
        Ok(sample) => Some(sample),
        Err(error) if error.is::<Unable>() => None,
        Err(error) => return Err(error),
    };
    println!("{}", serde_json::to_string(&sample)?);
    Ok(())
}

fn measure(task: &Task) -> Result<Sample, Error> {
    let mut size = task.workload.size(task.quick);
    if let Some(requests) = task.requests {
        size.requests = requests;
        size.warmup = size.warmup.min(requests);
    }
    let job = Job {
        workload: task.workload,
        server: task.server,
        many: task.many,
        ca: task.ca.clone(),
        bytes: size.bytes,
    };
    if let Shape::Echo { bytes, window } = task.workload.shape() {
        let meter = Meter::new(size.warmup, size.requests);
        messages::echo(&task.client, &job, bytes, window, &meter)?;
        return Ok(Sample::from(meter.figures()?).of_this_process());
    }
    let client = clients::named(&task.client, &job)?;
    let meter = || {
        let meter = Meter::new(size.warmup, size.requests);
        if task.workload.is_transfer() {
            meter.of_medians()
        } else {
            meter
        }
    };
    let sample = match task.workload.shape() {
        Shape::Idle(count) => idle(&*client, count)?,
        Shape::Mix(lanes) => {
            let (alone, beside) = (meter(), meter());
            client.mix(lanes, &alone, &beside)?;
            Sample {
                alone_p50_us: Some(alone.figures()?.p50_us),
                ..Sample::from(beside.figures()?)
            }
        }
        shape => {
            let meter = meter();
            match shape {
                Shape::Threads(count) => client.threads(count, &meter)?,
                Shape::Fly(count) => client.fly(count, &meter)?,
                Shape::Upload => client.upload(&meter)?,
                Shape::Sequence | Shape::Idle(_) | Shape::Mix(_) | Shape::Echo { .. } => {
                    client.sequence(&meter)?;
                }
            }
            Sample::from(meter.figures()?)
        }
    };
    Ok(sample.of_this_process())
}

fn idle(client: &dyn Client, count: usize) -> Result<Sample, Error> {
    // Once small, so that what is made once is not counted a connection.
    client.idle(10, &mut || {})?;
    let mut levels = Vec::with_capacity(2);
    client.idle(count, &mut || levels.push(anonymous_memory()))?;
    let mut levels = levels.into_iter();
    let (Some(before), Some(after)) = (levels.next(), levels.next()) else {
        return Err("the client did not settle".into());
    };
    Ok(Sample {
        bytes_per_conn: Some((after? as f64 - before? as f64) / count as f64),
        ..Sample::default()
    })
}

impl From<Figures> for Sample {
    fn from(figures: Figures) -> Self {
        Self {
            p50_us: Some(figures.p50_us),
            p99_us: Some(figures.p99_us),
            wall_us: Some(figures.wall_us),
            cpu_us: Some(figures.cpu_us),
            ctxsw: Some(figures.switches),
            ..Self::default()
        }
    }
}
