//! Which cases: `1.*,6.4.*,12.*.1`, held against the ids of the server.

/// A list of patterns; never empty.
pub struct Patterns(Vec<Pattern>);

struct Pattern {
    text: String,
    /// The parts between the dots. `None` is any; at the end, any number.
    parts: Vec<Option<String>>,
}

impl Patterns {
    pub fn parse(list: &str) -> Result<Self, String> {
        let patterns: Result<Vec<_>, _> = list
            .split(',')
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(Pattern::parse)
            .collect();
        match patterns? {
            none if none.is_empty() => Err("no cases in the list".to_owned()),
            patterns => Ok(Self(patterns)),
        }
    }

    /// The numbers, from 1 on, of the ids that match, in their order. A pattern
    /// that matches none is a mistake.
    pub fn choose(&self, ids: &[String]) -> Result<Vec<usize>, String> {
        for pattern in &self.0 {
            if !ids.iter().any(|id| pattern.matches(id)) {
                return Err(format!("no case is {}", pattern.text));
            }
        }
        let chosen = (1..).zip(ids).filter_map(|(number, id)| {
            self.0
                .iter()
                .any(|pattern| pattern.matches(id))
                .then_some(number)
        });
        Ok(chosen.collect())
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, String> {
        let parts: Result<_, _> = text
            .split('.')
            .map(|part| match part {
                "*" => Ok(None),
                _ if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) => {
                    Ok(Some(part.to_owned()))
                }
                _ => Err(format!(
                    "{text:?} is no case: numbers and * with dots between"
                )),
            })
            .collect();
        Ok(Self {
            text: text.to_owned(),
            parts: parts?,
        })
    }

    fn matches(&self, id: &str) -> bool {
        let parts: Vec<&str> = id.split('.').collect();
        let open = self.parts.last().is_some_and(Option::is_none);
        let long_enough = match open {
            true => parts.len() >= self.parts.len(),
            false => parts.len() == self.parts.len(),
        };
        long_enough
            && self
                .parts
                .iter()
                .zip(parts)
                .all(|(pattern, part)| pattern.as_deref().is_none_or(|pattern| pattern == part))
    }
}

#[cfg(test)]
mod tests {
    use super::Patterns;

    fn choose(list: &str) -> Result<Vec<usize>, String> {
        let ids = [
            "1.1.1", "1.1.2", "6.4.1", "10.1.1", "12.1.1", "12.2.1", "12.2.10",
        ];
        Patterns::parse(list)?.choose(&ids.map(str::to_owned))
    }

    #[test]
    fn lists() {
        assert_eq!(choose("*"), Ok((1..=7).collect()));
        assert_eq!(choose("1.*"), Ok(vec![1, 2]));
        assert_eq!(choose("12.*.1, 6.4.*,"), Ok(vec![3, 5, 6]));
        assert_eq!(choose("1.1.2,1.1.*"), Ok(vec![1, 2]));
        assert_eq!(choose("12.2.10"), Ok(vec![7]));
    }

    #[test]
    fn mistakes() {
        for list in ["", ",", "2.*", "1.1", "1.*,2.*", "a", "1..1", "1.1*", "-1"] {
            assert!(choose(list).is_err(), "{list}");
        }
    }
}
