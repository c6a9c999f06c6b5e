//! The cookie date of RFC 6265 §5.1.1: any order, any separators, no time
//! zone. It is not the HTTP date, which is why it has a parser of its own.

use std::time::{Duration, SystemTime};

/// Parses a cookie date. Dates before 1970 give the epoch: they are all
/// equally expired, and not every platform's clock can express them.
pub(super) fn parse(text: &[u8]) -> Option<SystemTime> {
    let seconds = parse_seconds(text)?;
    let since_epoch = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    SystemTime::UNIX_EPOCH.checked_add(since_epoch)
}

/// The same as seconds since 1970, negative before it.
fn parse_seconds(text: &[u8]) -> Option<i64> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    // Each token is tried against what is still missing, in this order; the
    // first token to fit takes the place.
    for token in text.split(|&byte| is_delimiter(byte)) {
        if time.is_none() && set(&mut time, time_of_day(token)) {
            continue;
        }
        if day.is_none() && set(&mut day, number(token, 1, 2)) {
            continue;
        }
        if month.is_none() && set(&mut month, month_number(token)) {
            continue;
        }
        if year.is_none() {
            set(&mut year, number(token, 2, 4));
        }
    }
    let ((hour, minute, second), day, month) = (time?, day?, month?);
    let year = match year? {
        year @ 70..=99 => year + 1900,
        year @ 0..=69 => year + 2000,
        year => year,
    };
    if year < 1601 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if day < 1 || day > days_in_month(year, month) {
        return None;
    }
    let days = days_since_epoch(year, month, day);
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

fn set<T>(place: &mut Option<T>, found: Option<T>) -> bool {
    *place = found;
    place.is_some()
}

/// The RFC's `delimiter`: everything printable but digits, letters and ":".
fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'\t' | 0x20..=0x2f | 0x3b..=0x40 | 0x5b..=0x60 | 0x7b..=0x7e)
}

/// `hms-time`: three numbers of one or two digits, anything after.
fn time_of_day(token: &[u8]) -> Option<(i64, i64, i64)> {
    let mut fields = token.splitn(3, |&byte| byte == b':');
    let hour = exact_number(fields.next()?)?;
    let minute = exact_number(fields.next()?)?;
    let second = number(fields.next()?, 1, 2)?;
    Some((hour, minute, second))
}

/// One or two digits and nothing else.
fn exact_number(field: &[u8]) -> Option<i64> {
    number(field, 1, 2).filter(|_| field.iter().all(u8::is_ascii_digit))
}

/// `min` to `max` digits, then the end or a non-digit and anything after it.
fn number(token: &[u8], min: usize, max: usize) -> Option<i64> {
    let digits = token.iter().take_while(|byte| byte.is_ascii_digit());
    // A token of a million digits is judged by its first few.
    let count = digits.clone().take(max.saturating_add(1)).count();
    (min..=max)
        .contains(&count)
        .then(|| digits.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
}

/// 1 to 12, by the first three letters.
fn month_number(token: &[u8]) -> Option<i64> {
    const NAMES: [&[u8]; 12] = [
        b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov",
        b"dec",
    ];
    let start = token.get(..3)?;
    (1..)
        .zip(NAMES)
        .find(|(_, name)| start.eq_ignore_ascii_case(name))
        .map(|(month, _)| month)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01. The year is taken to begin in March, so that the
/// leap day is its last day and month lengths follow one linear formula.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    // 719,468 days lie between March 1st of the year 0 and the epoch.
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        // SPEC K5
        let cases: &[(&str, i64)] = &[
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sun, 09 Sep 2001 01:46:40 GMT", 1_000_000_000),
            ("Sunday, 09-Sep-01 01:46:40 GMT", 1_000_000_000),
            ("Sun Sep  9 01:46:40 2001", 1_000_000_000),
            ("2001 9 septembre 1:46:40", 1_000_000_000),
            ("sep 9 2001 01:46:40.123 -0500", 1_000_000_000),
            ("09/Sep\\2001;01:46:40", 1_000_000_000),
            ("29 Feb 2000 00:00:00", 951_782_400),
            ("1 Mar 2000 00:00:00", 951_868_800),
            ("19 Jan 2038 03:14:08", 2_147_483_648),
            ("31 Dec 1969 23:59:59", -1),
            ("1 Jan 1601 00:00:00", -11_644_473_600),
            // Two digits: 70 and above is the last century.
            ("1 Jan 70 00:00:00", 0),
            ("31 Dec 99 23:59:59", 946_684_799),
            ("1 Jan 00 00:00:00", 946_684_800),
            ("1 Jan 69 00:00:00", 3_124_224_000),
            ("31 Dec 9999 23:59:59", 253_402_300_799),
        ];
        for (text, want) in cases {
            assert_eq!(parse_seconds(text.as_bytes()), Some(*want), "{text}");
        }
    }

    #[test]
    fn refused_dates() {
        // SPEC K5
        let cases = [
            "",
            "GMT",
            "9 Sep 2001",
            "9 Sep 01:46:40",
            "Sep 2001 01:46:40",
            "9 2001 01:46:40",
            "9 Se 2001 01:46:40",
            "0 Sep 2001 01:46:40",
            "31 Sep 2001 01:46:40",
            "32 Jan 2001 01:46:40",
            "29 Feb 1900 00:00:00",
            "29 Feb 2001 00:00:00",
            "31 Dec 1600 23:59:59",
            "9 Sep 199 01:46:40",
            "9 Sep 20011 01:46:40",
            "9 Sep 2001 24:00:00",
            "9 Sep 2001 00:60:00",
            "9 Sep 2001 00:00:60",
            "9 Sep 2001 001:00:00",
            "9 Sep 2001 00: 00:00",
            "9 Sep 2001 00:00",
            "99999999999999999999999999",
        ];
        for text in cases {
            assert_eq!(parse_seconds(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn old_dates_are_the_epoch() {
        let epoch = SystemTime::UNIX_EPOCH;
        assert_eq!(parse(b"1 Jan 1601 00:00:00"), Some(epoch));
        assert_eq!(
            parse(b"1 Jan 1970 00:01:00"),
            Some(epoch + Duration::from_secs(60))
        );
    }

    /// Every day from 1601 on follows the one before it.
    #[test]
    fn days_are_consecutive() {
        let mut want = -134_774;
        for year in 1601..=2400 {
            for month in 1..=12 {
                for day in 1..=days_in_month(year, month) {
                    assert_eq!(days_since_epoch(year, month, day), want);
                    want += 1;
                }
            }
        }
    }
}
