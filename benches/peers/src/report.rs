//! The medians, as a table and as JSON.

use std::collections::HashMap;
use std::fmt::Write;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::Error;
use crate::args::Options;
use crate::child::Sample;
use crate::plan::{CLIENTS, Figure, Workload};
use crate::run::{At, Entry};

/// A client may be better than the limit by this much, for what is chance.
const CHANCE: f64 = 0.97;

#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) blocks: Vec<Block>,
}

/// One workload at one server.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) workload: Workload,
    pub(crate) at: At,
    pub(crate) rows: Vec<Row>,
}

impl Block {
    pub(crate) fn name(&self) -> String {
        match self.at {
            At::Loopback => self.workload.name().to_owned(),
            At::Nginx => format!("{}@nginx", self.workload.name()),
        }
    }

    pub(crate) fn title(&self) -> String {
        match self.at {
            At::Loopback => self.workload.title().to_owned(),
            At::Nginx => format!("{}, nginx", self.workload.title()),
        }
    }
}

/// One client at one workload, or `None` if it cannot do that.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) client: String,
    pub(crate) medians: Option<Medians>,
}

/// Medians over the rounds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Medians {
    pub(crate) p50_us: Option<f64>,
    pub(crate) p99_us: Option<f64>,
    pub(crate) wall_us: Option<f64>,
    pub(crate) cpu_us: Option<f64>,
    pub(crate) ctxsw: Option<f64>,
    pub(crate) rss_kb: Option<f64>,
    pub(crate) threads: Option<f64>,
    pub(crate) instr: Option<f64>,
    pub(crate) bytes_per_conn: Option<f64>,
    pub(crate) alone_p50_us: Option<f64>,
    /// To the limit of the same round, in the workload's own figure.
    pub(crate) ratio: Option<f64>,
    pub(crate) ratio_cpu: Option<f64>,
    /// What the workload is about; not in the JSON, where it has a name.
    #[serde(skip)]
    pub(crate) figure: Option<f64>,
    /// That figure as a multiple of the best peer's.
    #[serde(skip)]
    pub(crate) to_best_peer: Option<f64>,
}

impl Report {
    pub(crate) fn new(entries: &[Entry], options: &Options) -> Result<Self, Error> {
        let instructions: Instructions = match &options.instr {
            Some(file) => serde_json::from_str(&std::fs::read_to_string(file)?)?,
            None => HashMap::new(),
        };
        let mut blocks = Vec::new();
        for at in [At::Loopback, At::Nginx] {
            for workload in options.workloads.iter().copied() {
                let here = |entry: &&Entry| entry.workload == workload && entry.at == at;
                let entries: Vec<&Entry> = entries.iter().filter(here).collect();
                if at == At::Nginx && entries.is_empty() {
                    continue;
                }
                let instr = match at {
                    At::Loopback => instructions.get(workload.name()),
                    At::Nginx => None,
                };
                blocks.push(Block {
                    workload,
                    at,
                    rows: rows(workload, &entries, options, instr),
                });
            }
        }
        Ok(Self { blocks })
    }

    /// `{workload: {client: figures}}`, in the order of the table.
    pub(crate) fn json(&self) -> Result<String, Error> {
        let mut all = Map::new();
        for block in &self.blocks {
            let mut clients = Map::new();
            for row in &block.rows {
                clients.insert(row.client.clone(), serde_json::to_value(&row.medians)?);
            }
            all.insert(block.name(), Value::Object(clients));
        }
        let mut text = serde_json::to_string_pretty(&all)?;
        text.push('\n');
        Ok(text)
    }

    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        for block in &self.blocks {
            table(&mut text, block);
        }
        text
    }
}

/// Instructions a request: `{workload: {client: count}}`.
type Instructions = HashMap<String, HashMap<String, f64>>;

fn rows(
    workload: Workload,
    entries: &[&Entry],
    options: &Options,
    instructions: Option<&HashMap<String, f64>>,
) -> Vec<Row> {
    let of = |client: &str| -> HashMap<usize, &Sample> {
        entries
            .iter()
            .filter(|entry| entry.client == client)
            .map(|entry| (entry.round, &entry.sample))
            .collect()
    };
    let limit = of(CLIENTS[0]);
    let mut rows: Vec<Row> = options
        .clients
        .iter()
        .filter(|client| workload.takes(client))
        .map(|client| {
            let samples = of(client);
            let instr = instructions.and_then(|counts| counts.get(client)).copied();
            Row {
                client: client.clone(),
                medians: (!samples.is_empty()).then(|| medians(workload, &samples, &limit, instr)),
            }
        })
        .collect();
    let best = rows
        .iter()
        .filter(|row| row.is_peer())
        .filter_map(|row| row.medians.as_ref()?.figure)
        .min_by(f64::total_cmp);
    for row in rows.iter_mut().filter_map(|row| row.medians.as_mut()) {
        row.to_best_peer = quotient(row.figure, best);
    }
    rows
}

impl Row {
    /// Neither the limit nor miohttp.
    pub(crate) fn is_peer(&self) -> bool {
        self.client != CLIENTS[0] && !self.client.starts_with("miohttp")
    }
}

fn medians(
    workload: Workload,
    samples: &HashMap<usize, &Sample>,
    limit: &HashMap<usize, &Sample>,
    instr: Option<f64>,
) -> Medians {
    let over = |field: fn(&Sample) -> Option<f64>| {
        median(samples.values().filter_map(|sample| field(sample)))
    };
    // Pair by pair: a round's limit drifts with its round.
    let paired = |field: &dyn Fn(&Sample) -> Option<f64>| {
        median(samples.iter().filter_map(|(round, sample)| {
            quotient(
                field(sample),
                limit.get(round).and_then(|limit| field(limit)),
            )
        }))
    };
    let compared = matches!(workload.figure(), Figure::P50 | Figure::Wall | Figure::Cpu);
    let own = |sample: &Sample| own_figure(workload, sample);
    Medians {
        p50_us: over(|sample| sample.p50_us),
        p99_us: over(|sample| sample.p99_us),
        wall_us: over(|sample| sample.wall_us),
        cpu_us: over(|sample| sample.cpu_us),
        ctxsw: over(|sample| sample.ctxsw),
        rss_kb: over(|sample| sample.rss_kb),
        threads: over(|sample| sample.threads),
        instr,
        bytes_per_conn: over(|sample| sample.bytes_per_conn),
        alone_p50_us: over(|sample| sample.alone_p50_us),
        ratio: compared.then(|| paired(&own)).flatten(),
        ratio_cpu: compared.then(|| paired(&|sample| sample.cpu_us)).flatten(),
        figure: median(samples.values().filter_map(|sample| own(sample))),
        to_best_peer: None,
    }
}

fn own_figure(workload: Workload, sample: &Sample) -> Option<f64> {
    match workload.figure() {
        Figure::P50 => sample.p50_us,
        Figure::Wall => sample.wall_us,
        Figure::Cpu => sample.cpu_us,
        Figure::Memory => sample.bytes_per_conn,
        Figure::Beside => quotient(sample.p50_us, sample.alone_p50_us),
    }
}

fn quotient(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) if other > 0.0 => Some(one / other),
        _ => None,
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    values
        .get(middle.checked_sub(1)?)
        .map(|lower| (lower + upper) / 2.0)
}

fn table(text: &mut String, block: &Block) {
    let workload = block.workload;
    let about = match workload.figure() {
        Figure::P50 => "median time",
        Figure::Wall => "time",
        Figure::Cpu => "CPU time",
        Figure::Memory => "memory",
        Figure::Beside => "median beside / alone",
    };
    // Writing to a `String` does not fail.
    let _ = writeln!(text, "{}: {}, {about}", block.name(), block.title());
    let _ = writeln!(
        text,
        "  {:<17}{:>10}{:>9}{:>11}{:>10}{:>10}{:>10}{:>9}{:>9}{:>9}",
        "",
        about_short(workload),
        "/ limit",
        "/ best peer",
        "p50",
        "p99",
        "CPU",
        "switches",
        "RSS",
        "threads"
    );
    for row in &block.rows {
        let Some(medians) = &row.medians else {
            let _ = writeln!(text, "  {:<17}{:>10}", row.client, "–");
            continue;
        };
        let figure = match workload.figure() {
            Figure::Memory => bytes(medians.figure),
            Figure::Beside => ratio(medians.figure),
            Figure::P50 | Figure::Wall | Figure::Cpu => micros(medians.figure),
        };
        let mark = match medians.ratio {
            Some(ratio) if ratio < CHANCE => "  better than the limit: mend the limit",
            _ => "",
        };
        let _ = writeln!(
            text,
            "  {:<17}{figure:>10}{:>9}{:>11}{:>10}{:>10}{:>10}{:>9}{:>9}{:>9}{mark}",
            row.client,
            ratio(medians.ratio),
            ratio(medians.to_best_peer),
            micros(medians.p50_us),
            micros(medians.p99_us),
            micros(medians.cpu_us),
            medians.ctxsw.map_or("–".into(), |n| format!("{n:.2}")),
            bytes(medians.rss_kb.map(|kib| kib * 1024.0)),
            medians.threads.map_or("–".into(), |n| format!("{n:.0}")),
        );
    }
    text.push('\n');
}

fn about_short(workload: Workload) -> &'static str {
    match workload.figure() {
        Figure::P50 => "p50",
        Figure::Wall => "wall",
        Figure::Cpu => "CPU",
        Figure::Memory => "a conn.",
        Figure::Beside => "slower",
    }
}

pub(crate) fn ratio(value: Option<f64>) -> String {
    value.map_or("–".into(), |value| format!("{value:.2}"))
}

/// Microseconds, in the unit that reads best.
pub(crate) fn micros(value: Option<f64>) -> String {
    match value {
        None => "–".into(),
        Some(us) if us < 1000.0 => format!("{us:.1} µs"),
        Some(us) if us < 1e6 => format!("{:.1} ms", us / 1e3),
        Some(us) => format!("{:.2} s", us / 1e6),
    }
}

pub(crate) fn bytes(value: Option<f64>) -> String {
    match value {
        None => "–".into(),
        Some(bytes) if bytes < 1024.0 => format!("{bytes:.0} B"),
        Some(bytes) if bytes < 1024.0 * 1024.0 => format!("{:.1} K", bytes / 1024.0),
        Some(bytes) => format!("{:.1} M", bytes / 1024.0 / 1024.0),
    }
}
