//! The chart: a panel a workload, a bar a client, shorter is better.

use std::fmt::Write;

use crate::plan::{CLIENTS, Figure};
use crate::report::{Block, Medians, Report, bytes, ratio};

const COLUMNS: usize = 4;
const PANEL: f64 = 310.0;
const LABELS: f64 = 112.0;
const BARS: f64 = 140.0;
const ROW: f64 = 15.0;
const TITLE: f64 = 38.0;
const TOP: f64 = 74.0;
const MARGIN: f64 = 20.0;
/// Longer bars are cut: what is four times the limit need not be compared.
const LONGEST: f64 = 4.0;

const STYLE: &str = "\
text{font:11px system-ui,sans-serif;fill:#333}\
.h{font-size:19px;font-weight:600;fill:#111}\
.t{font-size:12.5px;font-weight:600;fill:#111}\
.s{fill:#777}.n{font-weight:600;fill:#0b5fa5}\
.us{fill:#1f7fd0}.peer{fill:#b9bec5}.best{fill:#7b828c}\
.one{stroke:#c2410c;stroke-width:1.2}";

pub(crate) fn svg(report: &Report) -> String {
    let panels: Vec<Panel<'_>> = report.blocks.iter().filter_map(Panel::new).collect();
    let rows: Vec<&[Panel<'_>]> = panels.chunks(COLUMNS).collect();
    let heights: Vec<f64> = rows.iter().map(|row| height(row)).collect();
    let width = MARGIN * 2.0 + PANEL * COLUMNS as f64;
    let total = TOP + heights.iter().sum::<f64>() + MARGIN;
    let mut out = String::new();
    // Writing to a `String` does not fail, here and below.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {total}\" \
         width=\"{width}\" height=\"{total}\">\n<style>{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text class=\"h\" x=\"{MARGIN}\" y=\"30\">What a request costs, as a multiple of the \
         bare socket loop</text>\n\
         <text class=\"s\" x=\"{MARGIN}\" y=\"50\">Shorter is better. The red line is the bare \
         loop, which no client can beat. Blue: miohttp. Dark grey: the best of the others. \
         Bars beyond {LONGEST} are cut.</text>\n"
    );
    let mut y = TOP;
    for (row, height) in rows.iter().zip(&heights) {
        for (column, panel) in row.iter().enumerate() {
            panel.draw(&mut out, MARGIN + PANEL * column as f64, y);
        }
        y += height;
    }
    out.push_str("</svg>\n");
    out
}

fn height(row: &[Panel<'_>]) -> f64 {
    let bars = row.iter().map(|panel| panel.bars.len()).max().unwrap_or(0);
    TITLE + bars as f64 * ROW + 18.0
}

struct Panel<'a> {
    block: &'a Block,
    /// What one unit of length stands for, and whether it is the limit.
    one: Option<f64>,
    longest: f64,
    bars: Vec<Bar<'a>>,
}

struct Bar<'a> {
    client: &'a str,
    value: f64,
    text: String,
    class: &'static str,
}

impl<'a> Panel<'a> {
    /// The best first. `None` if nothing was measured.
    fn new(block: &'a Block) -> Option<Self> {
        let figure = block.workload.figure();
        let mut bars: Vec<Bar<'a>> = block
            .rows
            .iter()
            .filter(|row| row.client != CLIENTS[0])
            .filter_map(|row| {
                let medians = row.medians.as_ref()?;
                let (value, text) = value(figure, medians)?;
                let best = medians.to_best_peer == Some(1.0);
                let class = match (row.is_peer(), best) {
                    (false, _) => "us",
                    (true, true) => "best",
                    (true, false) => "peer",
                };
                let client = row.client.as_str();
                Some(Bar {
                    client,
                    value,
                    text,
                    class,
                })
            })
            .collect();
        bars.sort_by(|one, other| one.value.total_cmp(&other.value));
        let first = bars.first()?.value;
        let one = match figure {
            Figure::Memory => None,
            Figure::P50 | Figure::Wall | Figure::Cpu | Figure::Beside => Some(1.0),
        };
        Some(Self {
            block,
            one,
            longest: one.unwrap_or(first) * LONGEST,
            bars,
        })
    }

    fn draw(&self, out: &mut String, x: f64, y: f64) {
        let what = match self.block.workload.figure() {
            Figure::P50 => "median time",
            Figure::Wall => "time",
            Figure::Cpu => "processor time",
            Figure::Memory => "memory a connection",
            Figure::Beside => "its median time beside them, to that alone",
        };
        let (title, name) = (self.block.title(), self.block.name());
        let _ = write!(
            out,
            "<text class=\"t\" x=\"{x}\" y=\"{:.1}\">{title}</text>\n\
             <text class=\"s\" x=\"{x}\" y=\"{:.1}\">{what} ({name})</text>\n",
            y + 12.0,
            y + 27.0
        );
        let left = x + LABELS;
        let top = y + TITLE;
        for (row, bar) in self.bars.iter().enumerate() {
            bar.draw(out, left, top + row as f64 * ROW, self.longest);
        }
        if let Some(one) = self.one {
            let at = left + BARS * one / self.longest;
            let bottom = top + self.bars.len() as f64 * ROW;
            let _ = writeln!(
                out,
                "<line class=\"one\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{bottom:.1}\"/>",
                top - 2.0
            );
        }
    }
}

impl Bar<'_> {
    fn draw(&self, out: &mut String, x: f64, y: f64, longest: f64) {
        let Self {
            client,
            text,
            class,
            ..
        } = self;
        let cut = self.value > longest;
        let length = BARS * self.value.clamp(0.0, longest) / longest;
        let bold = if *class == "us" { "n" } else { "" };
        let base = y + ROW - 4.0;
        let _ = write!(
            out,
            "<text class=\"{bold}\" x=\"{:.1}\" y=\"{base:.1}\" text-anchor=\"end\">{client}</text>\
             <rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{length:.1}\" height=\"{:.1}\"/>",
            x - 6.0,
            y + 2.0,
            ROW - 4.0
        );
        if cut {
            // A gap, as in an axis that is broken.
            let at = x + length - 14.0;
            let _ = write!(
                out,
                "<path d=\"M{at:.1} {:.1}l5 {:.1}h4l-5 -{:.1}z\" fill=\"#fff\"/>",
                y + 1.0,
                ROW - 2.0,
                ROW - 2.0
            );
        }
        let _ = writeln!(
            out,
            "<text class=\"{bold}\" x=\"{:.1}\" y=\"{base:.1}\">{text}</text>",
            x + length + 4.0
        );
    }
}

/// How long the bar is, and what it says.
fn value(figure: Figure, medians: &Medians) -> Option<(f64, String)> {
    match figure {
        Figure::P50 | Figure::Wall | Figure::Cpu => {
            medians.ratio.map(|value| (value, ratio(Some(value))))
        }
        Figure::Beside => medians.figure.map(|value| (value, ratio(Some(value)))),
        Figure::Memory => medians.figure.map(|value| (value, bytes(Some(value)))),
    }
}
