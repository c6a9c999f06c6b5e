use bytes::Bytes;
use http::Version;

use super::*;
use crate::head::FieldSpan;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn head(fields: &[(&str, &str)]) -> ResponseHead {
    let mut bytes = Vec::new();
    let mut push = |text: &str| {
        let start = bytes.len() as u32;
        bytes.extend_from_slice(text.as_bytes());
        (start, bytes.len() as u32)
    };
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let mut head = ResponseHead::new(Version::HTTP_11, status, (0, 0));
    for (name, value) in fields {
        head.push(FieldSpan {
            name: push(name),
            value: push(value),
        });
    }
    head.over(Bytes::from(bytes))
}

#[test]
fn waits_are_doubled_up_to_the_longest() {
    // SPEC Y2
    let policy = RetryPolicy::new().backoff(MS(100), MS(1500)).jitter(0.0);
    let waits = [0, 1, 2, 3, 4, 31, 32, u32::MAX].map(|retries| policy.wait(retries, 0.9));
    let want = [100, 200, 400, 800, 1500, 1500, 1500, 1500].map(MS);
    assert_eq!(waits, want);
    let none = policy.backoff(Duration::ZERO, Duration::MAX);
    assert_eq!(none.wait(9, 0.5), Duration::ZERO);
    let long = none.backoff(Duration::MAX, Duration::MAX).jitter(1.0);
    assert_eq!(long.wait(9, 0.0), Duration::MAX);
}

#[test]
fn jitter_takes_its_part_of_a_wait() {
    // SPEC Y2
    let policy = RetryPolicy::new().backoff(MS(1000), MS(1000));
    for (jitter, dice, want) in [
        (0.5, 0.0, 1000),
        (0.5, 0.5, 750),
        (0.5, 1.0, 500),
        (1.0, 1.0, 0),
        (7.0, 0.5, 500),
        (-1.0, 1.0, 1000),
        (f64::NAN, 1.0, 1000),
    ] {
        let wait = policy.clone().jitter(jitter).wait(0, dice);
        assert_eq!(wait, MS(want), "{jitter} {dice}");
    }
    let thrown: Vec<_> = (0..1000).map(|_| dice()).collect();
    assert!(thrown.iter().all(|dice| (0.0..1.0).contains(dice)));
    let mean = thrown.iter().sum::<f64>() / 1000.0;
    assert!((0.4..0.6).contains(&mean), "{mean}");
}

#[test]
fn retry_after_is_seconds_or_a_date_and_has_a_cap() {
    // SPEC Y2
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let policy = RetryPolicy::new().max_retry_after(Duration::from_secs(100));
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let later = "Sun, 06 Nov 1994 08:50:07 GMT";
    for (value, want) in [
        ("5", 5),
        (" 5 ", 5),
        ("0", 0),
        ("100", 100),
        ("101", 100),
        ("99999999999999999999999999", 100),
        (later, 30),
        (date, 0),
        ("Sun, 06 Nov 1994 08:49:36 GMT", 0),
        ("Sun, 06 Nov 2094 08:49:37 GMT", 100),
        ("Sunday, 06-Nov-94 08:49:47 GMT", 10),
        ("", 0),
        ("-5", 0),
        ("+5", 0),
        ("1.5", 0),
        ("soon", 0),
    ] {
        let asked = policy.retry_after(&head(&[("Retry-After", value)]), now);
        assert_eq!(asked, Duration::from_secs(want), "{value:?}");
    }
    assert_eq!(policy.retry_after(&head(&[]), now), Duration::ZERO);
    // The server's clock is an hour behind ours, and the other way round.
    for shifted in [3600, -3600_i64] {
        let ours = now.checked_add(Duration::from_secs(7200)).unwrap();
        let ours = ours - Duration::from_secs((7200 - shifted) as u64);
        let fields = [("date", date), ("retry-after", later)];
        let asked = policy.retry_after(&head(&fields), ours);
        assert_eq!(asked, Duration::from_secs(30));
    }
    let deaf = policy.max_retry_after(Duration::ZERO);
    assert_eq!(deaf.retry_after(&head(&[("retry-after", "5")]), now), MS(0));
}

#[test]
fn a_budget_is_spent_and_earned_again() {
    // SPEC Y2
    let spent = Spent::default();
    assert!(spent.pay(2) && spent.pay(2) && !spent.pay(2) && !spent.pay(0));
    // Another request may have another.
    assert!(spent.pay(3) && !spent.pay(3));
    for _ in 0..19 {
        spent.earn();
    }
    assert!(!spent.pay(2));
    spent.earn();
    assert!(spent.pay(2) && !spent.pay(2));
    for _ in 0..1000 {
        spent.earn();
    }
    assert!(spent.pay(1) && !spent.pay(1), "no more than there was");
    assert!(spent.pay(u32::MAX));
}
