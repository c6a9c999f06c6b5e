//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use crate::Error;
use crate::plan::{CLIENTS, EXTRA_CLIENTS, Workload};

pub(crate) const HELP: &str = "\
miohttp beside other HTTP clients and the bare socket loop

usage: peers [--workload LIST] [--client LIST] [--rounds N] [--quick]
             [--no-nginx] [--json FILE] [--plot FILE.svg] [--instr FILE]

  --workload LIST   of: seq seqtls k64 fly100 thr8 thr64 conn conntls down
                    chunked downtls up uptls idle idletls mix ws1k32 ws1k ws64k
                    ws1m wstls1k (default: all)
  --client LIST     of: limit miohttp miohttp-started miohttp-async ureq reqwest
                    reqwest-blocking isahc curl curl-multi hyper attohttpc
                    minreq; with messages: limit miohttp miohttp-async
                    tungstenite tokio-tungstenite fastwebsockets
                    (default: all; the limit always takes part)
  --rounds N        rounds, of which the medians are shown (default: 7)
  --quick           a tenth of the requests, and transfers of 32 MiB
  --no-nginx        only our own server, though nginx is installed
  --json FILE       writes all figures
  --plot FILE.svg   draws the ratios to the limit
  --instr FILE      instructions a request, from instructions.sh
";

#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Measure(Options),
    /// Hidden: the server's process.
    Serve {
        folder: PathBuf,
    },
    /// Hidden: the other server's process.
    Nginx {
        folder: PathBuf,
    },
    /// Hidden: one client's process.
    Child(Task),
}

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) workloads: Vec<Workload>,
    pub(crate) clients: Vec<String>,
    pub(crate) rounds: usize,
    pub(crate) quick: bool,
    pub(crate) nginx: bool,
    pub(crate) json: Option<PathBuf>,
    pub(crate) plot: Option<PathBuf>,
    pub(crate) instr: Option<PathBuf>,
}

/// What one child does.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) workload: Workload,
    pub(crate) client: String,
    pub(crate) server: SocketAddr,
    pub(crate) many: SocketAddr,
    pub(crate) ca: PathBuf,
    pub(crate) quick: bool,
    /// Instead of the workload's own number.
    pub(crate) requests: Option<usize>,
}

pub(crate) fn parse() -> Result<Command, Error> {
    let mut parser = Parser::from_env();
    let mut options = Options {
        workloads: Workload::ALL.to_vec(),
        clients: CLIENTS.map(str::to_owned).to_vec(),
        rounds: 7,
        quick: false,
        nginx: true,
        json: None,
        plot: None,
        instr: None,
    };
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Value(word) if word == "serve" => {
                let folder = parser.value()?.into();
                return Ok(Command::Serve { folder });
            }
            Arg::Value(word) if word == "nginx" => {
                let folder = parser.value()?.into();
                return Ok(Command::Nginx { folder });
            }
            Arg::Value(word) if word == "child" => return child(&mut parser),
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Long("workload") => options.workloads = workloads(&parser.value()?.string()?)?,
            Arg::Long("client") => options.clients = clients(&parser.value()?.string()?)?,
            Arg::Long("rounds") => options.rounds = parser.value()?.parse::<usize>()?.max(1),
            Arg::Long("quick") => options.quick = true,
            Arg::Long("no-nginx") => options.nginx = false,
            Arg::Long("json") => options.json = Some(parser.value()?.into()),
            Arg::Long("plot") => options.plot = Some(parser.value()?.into()),
            Arg::Long("instr") => options.instr = Some(parser.value()?.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Measure(options))
}

fn child(parser: &mut Parser) -> Result<Command, Error> {
    let mut workload = None;
    let mut client = None;
    let mut server = None;
    let mut many = None;
    let mut ca = None;
    let mut quick = false;
    let mut requests = None;
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("workload") => workload = Some(named(&parser.value()?.string()?)?),
            Arg::Long("client") => client = Some(parser.value()?.string()?),
            Arg::Long("server") => server = Some(parser.value()?.parse()?),
            Arg::Long("many") => many = Some(parser.value()?.parse()?),
            Arg::Long("ca") => ca = Some(parser.value()?.into()),
            Arg::Long("quick") => quick = true,
            Arg::Long("requests") => requests = Some(parser.value()?.parse()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Child(Task {
        workload: workload.ok_or("which workload?")?,
        client: client.ok_or("which client?")?,
        server: server.ok_or("which server?")?,
        many: many.ok_or("which server of many?")?,
        ca: ca.ok_or("which authority?")?,
        quick,
        requests,
    }))
}

fn named(name: &str) -> Result<Workload, Error> {
    Workload::named(name).ok_or_else(|| format!("there is no workload named {name:?}").into())
}

/// In the order of the table, whatever the order of the list.
fn workloads(list: &str) -> Result<Vec<Workload>, Error> {
    let asked = list.split(',').map(named).collect::<Result<Vec<_>, _>>()?;
    Ok(Workload::ALL
        .into_iter()
        .filter(|one| asked.contains(one))
        .collect())
}

fn clients(list: &str) -> Result<Vec<String>, Error> {
    let asked: Vec<&str> = list.split(',').collect();
    let known = || CLIENTS.into_iter().chain(EXTRA_CLIENTS);
    if let Some(stranger) = asked.iter().find(|name| !known().any(|one| one == **name)) {
        return Err(format!("there is no client named {stranger:?}").into());
    }
    // The limit, because everything is compared with it.
    Ok(known()
        .filter(|name| *name == CLIENTS[0] || asked.contains(name))
        .map(str::to_owned)
        .collect())
}
