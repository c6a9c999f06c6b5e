//! Has the Autobahn fuzzing server put miohttp through its cases: an echo client
//! for each of them, and the server's report at the end (README.md tells how).
//!
//! ```text
//! autobahn URL AGENT [--cases LIST] [--no-compress]
//! ```
//!
//! It knows no case by its number: `LIST` is held against the ids that the server
//! gives. Whether a case passes the server alone decides, in its report; this
//! program fails only if it could not run what it was asked to.

use std::error::Error;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use miohttp::{Message, PerMessageDeflate, Session, WebSocket};

use crate::cases::Patterns;

mod cases;

/// No case leaves a client without a word for so long.
const SILENCE: Duration = Duration::from_secs(120);

const USAGE: &str = "usage: autobahn URL AGENT [--cases LIST] [--no-compress]

  URL            of the fuzzing server, such as ws://127.0.0.1:9001
  AGENT          the name to report under
  --cases LIST   such as 1.*,6.4.*,12.*.1: a part that is * is any, and at the
                 end any number of them; default: all
  --no-compress  do not offer permessage-deflate";

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("autobahn: {message}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("autobahn: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Options {
    server: String,
    agent: String,
    cases: Option<Patterns>,
    compress: bool,
}

impl Options {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut plain = Vec::new();
        let mut cases = None;
        let mut compress = true;
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--cases" => {
                    let list = arguments.next().ok_or("--cases without a list")?;
                    cases = Some(Patterns::parse(&list)?);
                }
                "--no-compress" => compress = false,
                option if option.starts_with('-') => {
                    return Err(format!("unknown option {option}"));
                }
                _ => plain.push(argument),
            }
        }
        let [server, agent] = <[String; 2]>::try_from(plain)
            .map_err(|_| "a URL and the name of an agent are needed".to_owned())?;
        Ok(Self {
            server: server.trim_end_matches('/').to_owned(),
            agent,
            cases,
            compress,
        })
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let server = Server {
        session: Session::new(),
        options,
    };
    let count: usize = server.answer("/getCaseCount", &[])?.trim().parse()?;
    let ids = (1..=count)
        .map(|case| server.case_id(case))
        .collect::<Result<Vec<_>, _>>()?;
    let chosen = match &options.cases {
        None => (1..=count).collect(),
        Some(patterns) => patterns.choose(&ids)?,
    };

    let mut progress = Progress::new(chosen.len());
    for &case in &chosen {
        let id = &ids[case - 1];
        progress.show(id);
        // What is wrong with it is the server's to say: many of its cases break
        // the connection, and an error is the right end of them.
        let end = server.play(case)?;
        progress.ended(id, end);
    }
    progress.done();
    server.ask("/updateReports", &[("agent", &options.agent)])?;
    println!("{} of {count} cases run as {}", chosen.len(), options.agent);
    Ok(())
}

/// The fuzzing server.
struct Server<'a> {
    session: Session,
    options: &'a Options,
}

impl Server<'_> {
    fn connect(
        &self,
        path: &str,
        query: &[(&str, &str)],
        compress: bool,
    ) -> Result<WebSocket, miohttp::Error> {
        let mut builder = self
            .session
            .ws_connect(&format!("{}{path}", self.options.server))
            .receive_timeout(SILENCE)
            // The largest case has 16 MiB, and the limit is not what is tried.
            .max_message_size(64 << 20)
            .compress(compress.then(|| PerMessageDeflate::new().threshold(0)));
        for (name, value) in query {
            builder = builder.query_pair(name, value);
        }
        builder.connect()
    }

    /// All that is said there, to the end.
    fn ask(&self, path: &str, query: &[(&str, &str)]) -> Result<Option<String>, miohttp::Error> {
        let socket = self.connect(path, query, false)?;
        let answer = socket.recv_text()?.map(|text| text.to_string());
        while socket.recv()?.is_some() {}
        Ok(answer)
    }

    fn answer(&self, path: &str, query: &[(&str, &str)]) -> Result<String, Box<dyn Error>> {
        let answer = self.ask(path, query)?;
        answer.ok_or_else(|| format!("no answer to {path}").into())
    }

    fn case_id(&self, case: usize) -> Result<String, Box<dyn Error>> {
        let answer = self.answer("/getCaseInfo", &[("case", &case.to_string())])?;
        let info: serde_json::Value = serde_json::from_str(&answer)?;
        match info["id"].as_str() {
            Some(id) => Ok(id.to_owned()),
            None => Err(format!("case {case} has no id: {answer}").into()),
        }
    }

    /// Echoes messages until the end; what that was, if it was not a closing.
    fn play(&self, case: usize) -> Result<Option<miohttp::Error>, Box<dyn Error>> {
        let case = case.to_string();
        let query = [("case", &*case), ("agent", &*self.options.agent)];
        let socket = self.connect("/runCase", &query, self.options.compress)?;
        loop {
            let message = match socket.recv() {
                Ok(Some(message @ (Message::Text(_) | Message::Binary(_)))) => message,
                Ok(Some(_)) => continue,
                Ok(None) => return Ok(None),
                Err(error) => return Ok(Some(error)),
            };
            if let Err(error) = socket.send(message) {
                // The reason comes out at the reading end.
                while let Ok(Some(_)) = socket.recv() {}
                return Ok(Some(error));
            }
        }
    }
}

/// One line that says how far it is; on a terminal it stays one line.
struct Progress {
    of: usize,
    at: usize,
    terminal: bool,
    section: String,
}

impl Progress {
    fn new(of: usize) -> Self {
        Self {
            of,
            at: 0,
            terminal: std::io::stderr().is_terminal(),
            section: String::new(),
        }
    }

    /// A case begins.
    fn show(&mut self, id: &str) {
        self.at += 1;
        let section = id.rsplit_once('.').map_or(id, |(section, _)| section);
        if self.terminal {
            eprint!("\r\x1b[K{} of {}: {id}", self.at, self.of);
        } else if section != self.section {
            eprintln!("{} of {}: {id}", self.at, self.of);
            section.clone_into(&mut self.section);
        }
        std::io::stderr().flush().ok();
    }

    /// It has ended. A silence is worth a word: nothing ends so in this server.
    fn ended(&self, id: &str, end: Option<miohttp::Error>) {
        if let Some(error) = end
            && error.is_timeout()
        {
            eprintln!("\n{id}: {error}");
        }
    }

    fn done(&self) {
        if self.terminal {
            eprintln!();
        }
    }
}
