//! The date of RFC 9110 §5.6.7, as `Date` and `Retry-After` have it: the one form
//! that is sent today and the two that were. Not the date of a cookie, whose
//! grammar takes anything.

use std::time::{Duration, SystemTime};

/// Parses a date of one of the three forms. `now` tells the century of a year of
/// two digits, which is never more than fifty years ahead. Before 1970 there is
/// none.
pub(crate) fn parse(text: &[u8], now: SystemTime) -> Option<SystemTime> {
    let text = std::str::from_utf8(text).ok()?.trim_ascii();
    let seconds = match text.split_once(", ") {
        // Sun, 06 Nov 1994 08:49:37 GMT
        Some((day, rest)) if day.len() == 3 => {
            let [day, month, year, time] = parts(rest.strip_suffix(" GMT")?, ' ')?;
            seconds(number(year, 4)?, month, number(day, 2)?, time)?
        }
        // Sunday, 06-Nov-94 08:49:37 GMT
        Some((_, rest)) => {
            let [date, time] = parts(rest.strip_suffix(" GMT")?, ' ')?;
            let [day, month, year] = parts(date, '-')?;
            seconds(
                full_year(number(year, 2)?, now),
                month,
                number(day, 2)?,
                time,
            )?
        }
        // Sun Nov  6 08:49:37 1994
        None => {
            let (_, rest) = text.split_once(' ')?;
            let (month, rest) = rest.split_once(' ')?;
            let [day, time, year] = parts(rest.trim_start_matches(' '), ' ')?;
            seconds(
                number(year, 4)?,
                month,
                number(day, day.len().min(2))?,
                time,
            )?
        }
    };
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Exactly so many parts.
fn parts<const N: usize>(text: &str, separator: char) -> Option<[&str; N]> {
    let mut parts = [""; N];
    let mut found = text.split(separator);
    for part in &mut parts {
        *part = found.next()?;
    }
    found.next().is_none().then_some(parts)
}

/// Exactly so many digits.
fn number(text: &str, digits: usize) -> Option<u64> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

fn full_year(year: u64, now: SystemTime) -> u64 {
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH);
    let days = since_epoch.map_or(0, |since| since.as_secs() / 86_400);
    // Of the mean length of the calendar's years, which is exact enough for this.
    let this_year = 1970 + days * 400 / 146_097;
    let year = this_year / 100 * 100 + year;
    if year > this_year + 50 {
        year - 100
    } else {
        year
    }
}

/// Seconds since 1970.
fn seconds(year: u64, month: &str, day: u64, time: &str) -> Option<u64> {
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let [hour, minute, second] = parts(time, ':')?;
    let time = [number(hour, 2)?, number(minute, 2)?, number(second, 2)?];
    since_1970([year, month, day], time)
}

/// Seconds since 1970 of a date and a time that there is: year, month and day
/// from 1; hour, minute and second.
pub(crate) fn since_1970([year, month, day]: [u64; 3], time: [u64; 3]) -> Option<u64> {
    let [hour, minute, second] = time;
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = match month {
        2 => 28 + u64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    // A second 60 is a leap second, taken for the one after it.
    if !(1970..=9999).contains(&year)
        || !(1..=length).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    // Years begin in March here, so that the leap day is the last of one.
    let (year, month) = match month {
        1 | 2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    // From the first of March of the year 0 to 1970 it is 719,468 days.
    let days = year * 365 + leap_days + day_of_year - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

/// The other way round, to the year 9999: year, month, day; hour, minute, second.
pub(crate) fn of_1970(seconds: u64) -> ([u64; 3], [u64; 3]) {
    let time = seconds % 86_400;
    // Days since the first of March of the year 0, in cycles of 400 years.
    let days = seconds / 86_400 + 719_468;
    let (cycle, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = [
        cycle * 400 + year + u64::from(month > 9),
        if month > 9 { month - 9 } else { month + 3 },
        day - (153 * month + 2) / 5 + 1,
    ];
    (date, [time / 3600, time / 60 % 60, time % 60])
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn at(text: &str, now: u64) -> Option<u64> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now);
        let date = parse(text.as_bytes(), now)?;
        Some(
            date.duration_since(SystemTime::UNIX_EPOCH)
                .unwrap()
                .as_secs(),
        )
    }

    #[test]
    fn the_three_forms_of_a_date() {
        // SPEC Y2
        const IN_2026: u64 = 1_770_000_000;
        for (text, want) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
            ("Sun Nov  6 08:49:37 1994", 784_111_777),
            ("Sun Nov 16 08:49:37 1994", 784_111_777 + 864_000),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Thu, 29 Feb 2024 23:59:60 GMT", 1_709_251_200),
            ("Fri, 01 Mar 2024 00:00:00 GMT", 1_709_251_200),
            ("Thu, 31 Dec 2099 23:59:59 GMT", 4_102_444_799),
            ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
            // At most fifty years ahead.
            ("Tuesday, 01-Jan-76 00:00:00 GMT", 3_345_062_400),
            ("Saturday, 01-Jan-77 00:00:00 GMT", 220_924_800),
            (" Sun, 06 Nov 1994 08:49:37 GMT ", 784_111_777),
        ] {
            assert_eq!(at(text, IN_2026), Some(want), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_date() {
        // SPEC Y2
        for text in [
            "",
            ",",
            "soon",
            "120",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:60:00 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 06 Nov 1994 08:49:+7 GMT",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Wed, 29 Feb 2023 00:00:00 GMT",
            "Mon, 29 Feb 2100 00:00:00 GMT",
            "Wed, 31 Dec 1969 23:59:59 GMT",
            "Sun, 06 Nov 99999 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 1 GMT",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Sun Nov 006 08:49:37 1994",
            "Sun Nov 6 08:49:37 94",
            "\u{fc}\u{fc}\u{fc}, 06",
        ] {
            assert_eq!(at(text, 0), None, "{text}");
        }
        // Cut anywhere, it is none either.
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        for cut in 0..date.len() {
            assert_eq!(at(&date[..cut], 0), None, "{cut}");
        }
        assert!(parse(b"\xff", SystemTime::UNIX_EPOCH).is_none());
    }

    #[test]
    fn there_and_back_again() {
        // SPEC Y2
        for at in (0..253_402_300_800).step_by(86_400 * 13 + 7211) {
            let (date, time) = of_1970(at);
            assert_eq!(since_1970(date, time), Some(at), "{date:?} {time:?}");
        }
        let last = ([9999, 12, 31], [23, 59, 59]);
        assert_eq!(of_1970(253_402_300_799), last);
        assert_eq!(of_1970(951_782_400), ([2000, 2, 29], [0, 0, 0]));
        for (date, time) in [
            ([1969, 12, 31], [0, 0, 0]),
            ([10_000, 1, 1], [0, 0, 0]),
            ([2023, 2, 29], [0, 0, 0]),
            ([2023, 0, 1], [0, 0, 0]),
            ([2023, 13, 1], [0, 0, 0]),
            ([2023, 1, 0], [0, 0, 0]),
            ([2023, 1, 1], [24, 0, 0]),
            ([u64::MAX, u64::MAX, u64::MAX], [0, 0, 0]),
        ] {
            assert_eq!(since_1970(date, time), None, "{date:?} {time:?}");
        }
    }
}
