//! Rust source as a flat list of names and punctuation, with line numbers:
//! enough to find paths, braces and attributes, and nothing more.

/// A name, `::`, or one character of anything else.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) line: usize,
    pub(crate) text: String,
}

pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Splits a source; comments and literals leave nothing behind.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let (mut i, mut line) = (0, 1);
    while i < chars.len() {
        let start = i;
        let first = chars[i];
        match first {
            '/' if at(i + 1) == '/' => i += line_length(&chars[i..]),
            '/' if at(i + 1) == '*' => i += comment_length(&chars[i..]),
            '"' => i += string_length(&chars[i..]),
            '\'' => i += quote_length(&chars[i..]),
            ':' if at(i + 1) == ':' => {
                tokens.push(Token {
                    line,
                    text: "::".to_owned(),
                });
                i += 2;
            }
            _ if first.is_alphanumeric() || first == '_' => {
                while at(i).is_alphanumeric() || at(i) == '_' {
                    i += 1;
                }
                let text: String = chars[start..i].iter().collect();
                let hashes = chars[i..].iter().take_while(|c| **c == '#').count();
                let is_raw = matches!(text.as_str(), "r" | "br" | "cr");
                match at(i + hashes) {
                    '"' if is_raw => i += raw_string_length(&chars[i..], hashes),
                    '"' if hashes == 0 && matches!(text.as_str(), "b" | "c") => {
                        i += string_length(&chars[i..]);
                    }
                    '\'' if hashes == 0 && text == "b" => i += quote_length(&chars[i..]),
                    _ => tokens.push(Token { line, text }),
                }
            }
            _ => {
                if !first.is_whitespace() {
                    tokens.push(Token {
                        line,
                        text: first.to_string(),
                    });
                }
                i += 1;
            }
        }
        let end = i.min(chars.len());
        line += chars[start..end].iter().filter(|c| **c == '\n').count();
    }
    tokens
}

fn line_length(chars: &[char]) -> usize {
    chars.iter().take_while(|c| **c != '\n').count()
}

/// Block comments nest.
fn comment_length(chars: &[char]) -> usize {
    let (mut depth, mut i) = (0_usize, 0);
    while i < chars.len() {
        match chars[i..] {
            ['/', '*', ..] => (depth, i) = (depth + 1, i + 2),
            ['*', '/', ..] => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            break;
        }
    }
    i
}

fn string_length(chars: &[char]) -> usize {
    let mut i = 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

fn raw_string_length(chars: &[char], hashes: usize) -> usize {
    let mut i = hashes + 1;
    while i < chars.len() {
        let closing = chars[i + 1..].iter().take_while(|c| **c == '#').count();
        if chars[i] == '"' && closing >= hashes {
            return i + 1 + hashes;
        }
        i += 1;
    }
    i
}

/// A character literal; a lifetime is only its quote, and its name is a name.
fn quote_length(chars: &[char]) -> usize {
    match chars {
        [_, '\\', ..] => {
            let end = chars.iter().skip(3).position(|c| *c == '\'');
            end.map_or(chars.len(), |end| end + 4)
        }
        [_, _, '\'', ..] => 3,
        _ => 1,
    }
}
