//! Model checks of the handoff: every interleaving, no lost wake-up. A lost one
//! shows as a deadlock, which loom reports.

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use loom::future::block_on;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::feed::{Fed, FeedReader, FeedWriter, Gone, feed};
use super::mailbox::{Alarm, Mailbox};
use super::pipe::{Budget, Credit, Item, PipeReader, pipe};
use super::slot::slot;
use super::steps::Steps;

#[test]
fn slot_fill_against_poll() {
    loom::model(|| {
        let (sender, mut receiver) = slot();
        let filler = thread::spawn(move || sender.fill(7));
        let value = block_on(poll_fn(|cx| receiver.poll(cx)));
        assert_eq!(value, Some(7));
        assert_eq!(filler.join().unwrap(), Ok(()));
    });
}

#[test]
fn slot_lost_sender_against_poll() {
    loom::model(|| {
        let (sender, mut receiver) = slot::<u8>();
        let dropper = thread::spawn(move || drop(sender));
        assert_eq!(block_on(poll_fn(|cx| receiver.poll(cx))), None);
        dropper.join().unwrap();
    });
}

/// The value ends on exactly one side.
#[test]
fn slot_fill_against_lost_receiver() {
    loom::model(|| {
        let (sender, mut receiver) = slot();
        let value = std::sync::Arc::new(());
        let kept = std::sync::Arc::clone(&value);
        let taker = thread::spawn(move || {
            let mut cx = Context::from_waker(Waker::noop());
            matches!(receiver.poll(&mut cx), Poll::Ready(Some(_)))
        });
        let refused = sender.fill(value).is_err();
        let taken = taker.join().unwrap();
        assert!(!(refused && taken));
        assert_eq!(std::sync::Arc::strong_count(&kept), 1);
    });
}

/// What the driver of the writer sleeps on: told of a refill, or of the end.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    change: Condvar,
}

impl Bell {
    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.change.wait(rung).unwrap();
        }
        *rung = false;
    }

    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.change.notify_one();
    }
}

async fn next(reader: &mut PipeReader<()>) -> (Item<()>, bool) {
    poll_fn(|cx| reader.poll_next(cx)).await
}

/// The writer stalls and sleeps until told; the reader tells it on a refill.
#[test]
fn pipe_no_lost_refill_and_no_lost_data() {
    loom::model(|| {
        let (mut writer, mut reader) = pipe(Budget { low: 0, high: 0 });
        let bell = Arc::new(Bell::default());
        let driver = {
            let bell = Arc::clone(&bell);
            thread::spawn(move || {
                for _ in 0..2 {
                    let mut credit = writer.push(Bytes::from_static(b"x"));
                    while credit != Credit::Open {
                        bell.wait();
                        credit = writer.credit();
                    }
                }
                writer.finish(());
            })
        };
        let mut got = 0;
        block_on(async {
            while let (Item::Data(data), refill) = next(&mut reader).await {
                got += data.len();
                if refill {
                    bell.ring();
                }
            }
        });
        assert_eq!(got, 2);
        driver.join().unwrap();
    });
}

/// A mark stalls the writer too, and taking it aside wakes it as well.
#[test]
fn pipe_marks_are_not_lost_and_give_room_back() {
    loom::model(|| {
        let (mut writer, mut reader) = pipe(Budget { low: 0, high: 1 });
        let bell = Arc::new(Bell::default());
        let driver = {
            let bell = Arc::clone(&bell);
            thread::spawn(move || {
                writer.push(Bytes::from_static(b"x"));
                let mut credit = writer.mark();
                while credit != Credit::Open {
                    bell.wait();
                    credit = writer.credit();
                }
                writer.finish(());
            })
        };
        let (mut got, mut marks) = (0, 0);
        block_on(async {
            loop {
                let refill = match next(&mut reader).await {
                    (Item::Data(data), refill) => {
                        got += data.len();
                        let aside = reader.next_mark();
                        marks += usize::from(aside.is_some());
                        refill || aside == Some(true)
                    }
                    (Item::Mark, refill) => {
                        marks += 1;
                        refill
                    }
                    _ => break,
                };
                if refill {
                    bell.ring();
                }
            }
        });
        assert_eq!((got, marks), (1, 1));
        driver.join().unwrap();
    });
}

#[test]
fn pipe_lost_writer_against_poll() {
    loom::model(|| {
        let (mut writer, mut reader) = pipe::<()>(Budget { low: 0, high: 1 });
        let driver = thread::spawn(move || {
            writer.push(Bytes::from_static(b"x"));
        });
        block_on(async {
            let (first, _) = next(&mut reader).await;
            assert_eq!(first, Item::Data(Bytes::from_static(b"x")));
            assert_eq!(next(&mut reader).await.0, Item::Broken);
        });
        driver.join().unwrap();
    });
}

#[test]
fn pipe_push_against_lost_reader() {
    loom::model(|| {
        let (mut writer, reader) = pipe::<()>(Budget { low: 0, high: 0 });
        let dropper = thread::spawn(move || drop(reader));
        let first = writer.push(Bytes::from_static(b"x"));
        assert!(matches!(first, Credit::Full | Credit::Abandoned));
        dropper.join().unwrap();
        assert_eq!(writer.credit(), Credit::Abandoned);
        writer.finish(());
    });
}

struct Ringer(Arc<Bell>);

impl Alarm for Ringer {
    fn ring(&self) {
        self.0.ring();
    }
}

/// Two producers, a consumer that sleeps whenever it may.
#[test]
fn mailbox_no_lost_wake_up() {
    loom::model(|| {
        let bell = Arc::new(Bell::default());
        let mailbox = Arc::new(Mailbox::new(Box::new(Ringer(Arc::clone(&bell)))));
        let producers: Vec<_> = (0..2)
            .map(|item| {
                let mailbox = Arc::clone(&mailbox);
                thread::spawn(move || mailbox.push(item).unwrap())
            })
            .collect();
        let mut got = Vec::new();
        while got.len() < 2 {
            if mailbox.doze() {
                bell.wait();
            }
            mailbox.drain(&mut got);
        }
        got.sort_unstable();
        assert_eq!(got, [0, 1]);
        for producer in producers {
            producer.join().unwrap();
        }
    });
}

/// A push either fails or is returned by the close: nothing lies there unseen.
#[test]
fn mailbox_push_against_close() {
    loom::model(|| {
        let bell = Arc::new(Bell::default());
        let mailbox = Arc::new(Mailbox::new(Box::new(Ringer(bell))));
        let producer = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || mailbox.push(1).is_ok())
        };
        let left = mailbox.close().len();
        let accepted = producer.join().unwrap();
        assert_eq!(accepted, left == 1);
    });
}

/// A step that was started hears of a cancellation after it, or there was none.
#[test]
fn steps_cancel_against_the_next() {
    #[derive(Clone, Copy, PartialEq)]
    enum Word {
        Start(u8),
        Cancel(u8),
    }
    loom::model(|| {
        let steps = Arc::new(Steps::new(1));
        let driver = Arc::new(Mutex::new(vec![Word::Start(1)]));
        let canceller = {
            let (steps, driver) = (Arc::clone(&steps), Arc::clone(&driver));
            thread::spawn(move || {
                let current = steps.cancel();
                driver.lock().unwrap().push(Word::Cancel(current));
            })
        };
        if steps.go_on(2) {
            driver.lock().unwrap().push(Word::Start(2));
            if steps.is_cancelled() {
                driver.lock().unwrap().push(Word::Cancel(2));
            }
        }
        canceller.join().unwrap();
        let heard = driver.lock().unwrap();
        let ended = |step| {
            let start = heard.iter().position(|word| *word == Word::Start(step));
            start.is_none_or(|at| heard[at..].contains(&Word::Cancel(step)))
        };
        // The first is over by itself where the second was started.
        let second = heard.contains(&Word::Start(2));
        assert!(ended(2) && (second || ended(1)));
    });
}

async fn room(writer: &mut FeedWriter<()>) -> Result<(), Gone> {
    poll_fn(|cx| writer.poll_room(cx)).await
}

async fn taken(reader: &mut FeedReader<()>) -> Fed<()> {
    poll_fn(|cx| reader.poll_take(1, cx)).await
}

/// The writer waits for room, the driver for data: nobody is forgotten.
#[test]
fn feed_no_lost_wake_up_on_either_side() {
    loom::model(|| {
        let (mut writer, mut reader) = feed(1);
        let producer = thread::spawn(move || {
            for _ in 0..2 {
                assert_eq!(block_on(room(&mut writer)), Ok(()));
                writer.push(Bytes::from_static(b"x")).unwrap();
            }
            writer.finish(Ok(())).unwrap();
        });
        let mut got = 0;
        block_on(async {
            loop {
                match taken(&mut reader).await {
                    Fed::Data(data) => got += data.len(),
                    Fed::End(end) => return assert_eq!(end, Ok(())),
                    Fed::Broken => panic!("the end was lost"),
                }
            }
        });
        assert_eq!(got, 2);
        producer.join().unwrap();
    });
}

/// A driver that goes away ends the wait of a writer that found no room.
#[test]
fn feed_lost_driver_against_waiting_writer() {
    loom::model(|| {
        let (mut writer, reader) = feed(1);
        writer.push(Bytes::from_static(b"x")).unwrap();
        let dropper = thread::spawn(move || drop(reader));
        assert_eq!(block_on(room(&mut writer)), Err(Gone));
        assert_eq!(writer.finish(Ok(())), Err(Gone));
        dropper.join().unwrap();
    });
}

/// A writer that goes away breaks the body, behind what it had pushed.
#[test]
fn feed_lost_writer_against_waiting_driver() {
    loom::model(|| {
        let (mut writer, mut reader) = feed(1);
        let producer = thread::spawn(move || {
            writer.push(Bytes::from_static(b"x")).unwrap();
        });
        block_on(async {
            assert!(matches!(taken(&mut reader).await, Fed::Data(_)));
            assert_eq!(taken(&mut reader).await, Fed::Broken);
        });
        producer.join().unwrap();
    });
}
