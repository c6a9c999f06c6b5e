//! Finds what one source file names: its `use` trees and its inline paths,
//! resolved from the crate's root, without what is compiled for tests or loom.

use std::collections::BTreeSet;

use super::Source;
use super::tokens::{Token, is_name, tokens};

/// What one source file holds of interest.
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) module: Vec<String>,
    pub(crate) lines: usize,
    pub(crate) forbids_unsafe: bool,
    /// Full paths of the modules it declares for tests or loom only.
    pub(crate) test_modules: Vec<Vec<String>>,
    pub(crate) paths: Vec<Found>,
}

/// A path that the file names.
#[derive(Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) line: usize,
    /// Below the crate's root, or from an external crate's name on.
    pub(crate) segments: Vec<String>,
    pub(crate) is_ours: bool,
    pub(crate) is_use: bool,
    pub(crate) alias: Option<String>,
}

impl File {
    pub(crate) fn read((name, text): &Source) -> Self {
        let module = module_of(name);
        let tokens = tokens(text);
        let mut reader = Reader {
            tokens: &tokens,
            at: 0,
            module: module.clone(),
            children: children(&tokens),
            blocks: Vec::new(),
            test_modules: Vec::new(),
            paths: Vec::new(),
        };
        reader.run();
        Self {
            name: name.clone(),
            module,
            lines: text.lines().count(),
            forbids_unsafe: text.contains("#![forbid(unsafe_code)]"),
            test_modules: reader.test_modules,
            paths: reader.paths,
        }
    }
}

/// `a/b.rs` and `a/b/mod.rs` are both `a::b`; `lib.rs` is the root.
fn module_of(name: &str) -> Vec<String> {
    let stem = name.strip_suffix(".rs").unwrap_or(name);
    let mut module: Vec<String> = stem.split('/').map(str::to_owned).collect();
    if module
        .last()
        .is_some_and(|last| last == "mod" || stem == "lib")
    {
        module.pop();
    }
    module
}

/// Modules declared in the file: `mio::Waker` in `net/mod.rs` is a child's.
fn children(tokens: &[Token]) -> BTreeSet<String> {
    tokens
        .windows(2)
        .filter(|pair| pair[0].text == "mod" && is_name(&pair[1].text))
        .map(|pair| pair[1].text.clone())
        .collect()
}

/// Walks a file's tokens.
struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    /// The module the reader is in, inline ones included.
    module: Vec<String>,
    children: BTreeSet<String>,
    /// For each open brace, whether it is an inline module's.
    blocks: Vec<bool>,
    test_modules: Vec<Vec<String>>,
    paths: Vec<Found>,
}

impl Reader<'_> {
    fn run(&mut self) {
        while self.at < self.tokens.len() {
            match self.text(0) {
                "#" => self.attribute(),
                "{" => self.open(false),
                "}" => self.close(),
                "use" => self.use_line(),
                "mod" if is_name(self.text(1)) && self.text(2) == "{" => {
                    self.module.push(self.text(1).to_owned());
                    self.at += 2;
                    self.open(true);
                }
                // `pub(in crate::a)` imports nothing.
                "in" if self.back(1) == "(" && self.back(2) == "pub" => self.skip_path(),
                // `::mio::Poll`, where nothing stands before the first colons.
                "::" if is_name(self.text(1)) && self.starts_a_path() => {
                    self.at += 1;
                    self.inline_path();
                }
                text if is_name(text) && !matches!(self.back(1), "::" | ".") => self.inline_path(),
                _ => self.at += 1,
            }
        }
    }

    fn open(&mut self, is_module: bool) {
        self.blocks.push(is_module);
        self.at += 1;
    }

    fn close(&mut self) {
        if self.blocks.pop() == Some(true) {
            self.module.pop();
        }
        self.at += 1;
    }

    /// Skips an attribute, and the item under it if that is for tests only.
    fn attribute(&mut self) {
        let start = self.at;
        self.at += 1;
        if self.text(0) == "!" {
            self.at += 1;
        }
        self.skip_group();
        if !is_for_tests(&self.tokens[start..self.at]) {
            return;
        }
        while self.text(0) == "#" {
            self.at += 1;
            self.skip_group();
        }
        let mut item = self.at;
        while matches!(self.tokens.get(item), Some(token) if token.text != "mod") {
            // Only a visibility may stand before `mod`.
            if !matches!(self.tokens[item].text.as_str(), "pub" | "(" | ")" | "crate") {
                break;
            }
            item += 1;
        }
        if let [keyword, name, ..] = &self.tokens[item.min(self.tokens.len())..]
            && keyword.text == "mod"
        {
            let mut module = self.module.clone();
            module.push(name.text.clone());
            self.test_modules.push(module);
        }
        self.skip_item();
    }

    /// Skips to the end of an item: its `;`, or its braces and what follows
    /// them up to the next item. A field or a match arm ends at its comma.
    fn skip_item(&mut self) {
        while self.at < self.tokens.len() {
            match self.text(0) {
                "{" => {
                    self.skip_group();
                    return;
                }
                "(" | "[" => self.skip_group(),
                ";" | "," => {
                    self.at += 1;
                    return;
                }
                "}" => return,
                "use" => {
                    // Its braces do not end it.
                    while self.at < self.tokens.len() && self.text(0) != ";" {
                        self.at += 1;
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    /// Skips a bracketed group, whichever its brackets.
    fn skip_group(&mut self) {
        let mut depth = 0_usize;
        while self.at < self.tokens.len() {
            match self.text(0) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }

    fn skip_path(&mut self) {
        self.at += 1;
        while is_name(self.text(0)) || self.text(0) == "::" {
            self.at += 1;
        }
    }

    /// A path in code; one name alone is none.
    fn inline_path(&mut self) {
        let line = self.tokens[self.at].line;
        let mut segments = vec![self.text(0).to_owned()];
        self.at += 1;
        while self.text(0) == "::" && is_name(self.text(1)) {
            segments.push(self.text(1).to_owned());
            self.at += 2;
        }
        if segments.len() > 1 {
            self.add(line, segments, None, false);
        }
    }

    fn use_line(&mut self) {
        self.at += 1;
        if self.text(0) == "::" {
            self.at += 1;
        }
        self.use_tree(&[]);
    }

    /// One branch of a `use` tree, `prefix` being what stands before it.
    fn use_tree(&mut self, prefix: &[String]) {
        let mut segments = prefix.to_vec();
        let line = self.tokens.get(self.at).map_or(0, |token| token.line);
        loop {
            let text = self.text(0).to_owned();
            match text.as_str() {
                "{" => {
                    self.at += 1;
                    while !matches!(self.text(0), "}" | "") {
                        self.use_tree(&segments);
                        if self.text(0) == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                "*" => self.at += 1,
                "self" if !segments.is_empty() => self.at += 1,
                "as" => {
                    let alias = self.text(1).to_owned();
                    self.at += 2;
                    self.add(line, segments, Some(alias), true);
                    return;
                }
                "::" => self.at += 1,
                name if is_name(name) => {
                    segments.push(text);
                    self.at += 1;
                }
                _ => break,
            }
        }
        // Something that is no tree: go on behind it.
        if !matches!(self.text(0), "," | "}" | ";") {
            self.at += 1;
        }
        self.add(line, segments, None, true);
    }

    /// Resolves `crate`, `self` and `super`, and keeps the path.
    fn add(&mut self, line: usize, segments: Vec<String>, alias: Option<String>, is_use: bool) {
        let mut rest = segments.as_slice();
        let mut base = self.module.clone();
        let is_ours = match rest.first().map(String::as_str) {
            Some("crate") => {
                base.clear();
                rest = &rest[1..];
                true
            }
            Some("self" | "super") => {
                while let Some("self" | "super") = rest.first().map(String::as_str) {
                    if rest[0] == "super" {
                        base.pop();
                    }
                    rest = &rest[1..];
                }
                true
            }
            Some(name) => self.children.contains(name),
            None => return,
        };
        if !is_ours {
            base.clear();
        }
        base.extend_from_slice(rest);
        self.paths.push(Found {
            line,
            segments: base,
            is_ours,
            is_use,
            alias,
        });
    }

    fn starts_a_path(&self) -> bool {
        match self.back(1) {
            "as" | "dyn" | "for" | "impl" | "in" | "mut" | "return" => true,
            before => !is_name(before) && before != ">",
        }
    }

    fn text(&self, ahead: usize) -> &str {
        self.tokens
            .get(self.at + ahead)
            .map_or("", |token| token.text.as_str())
    }

    fn back(&self, behind: usize) -> &str {
        self.at
            .checked_sub(behind)
            .map_or("", |at| self.tokens[at].text.as_str())
    }
}

/// `cfg(test)`, `cfg(loom)` and what combines them, but not `cfg(not(test))`, nor
/// what a feature brings as well.
fn is_for_tests(attribute: &[Token]) -> bool {
    let texts: Vec<&str> = attribute.iter().map(|token| token.text.as_str()).collect();
    let is_shared =
        texts.windows(3).any(|at| at == ["cfg", "(", "any"]) && texts.contains(&"feature");
    texts.contains(&"cfg")
        && !is_shared
        && (0..texts.len())
            .any(|at| matches!(texts[at], "test" | "loom") && (at < 2 || texts[at - 2] != "not"))
}
