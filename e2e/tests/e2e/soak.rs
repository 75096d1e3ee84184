//! Hours of calls with media at a steady rate, in both directions: nothing may fail, leak or stay behind.
//!
//! Half of the calls come in through a trunk: number, document, `<Dial>`. The other half are created with
//! the API and hung up by the server. Either way two legs carry RTP for a second or two. Run by
//! `just soak` (4 hours) and `just soak-smoke`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::cost::{Sockets, rss_mb, sockets};
use e2e::load::ua::Ua;
use e2e::server::Options;
use e2e::{App, Reply, Rest, Server, setting, wait};

/// How long both sides of a trunk's call talk.
const TALK: Duration = Duration::from_secs(1);
/// Packets that each leg must receive in that time, of about 50.
const PACKETS: u64 = 35;
/// Runs of this length or more are long enough to compare quarters; SIP transactions alone stay for 32 s.
const LONG: Duration = Duration::from_secs(20 * 60);
/// What the last quarter of a long run may use above the quarter before it.
const QUARTER_RATIO: f64 = 1.02;
/// What the second half of a short run may add.
const GROWTH_MB: f64 = 10.0;
/// Sockets of a bridged call: RTP and RTCP for each of its two legs.
const SOCKETS_PER_CALL: usize = 4;
/// Calls that count the sockets.
const PROBES: usize = 20;
/// How long the calls may take beyond the planned time.
const GRACE: Duration = Duration::from_secs(120);
/// How long connections to the application and those of the API may stay open without use.
const IDLE: Duration = Duration::from_secs(150);

/// Calls with the API: a thread, since each request blocks.
struct Caller {
    created: Arc<AtomicUsize>,
    thread: thread::JoinHandle<anyhow::Result<()>>,
}

impl Caller {
    /// Creates calls to 2000 at a steady rate that run the document at `url`.
    fn start(rest: Rest, url: String, events: String, calls: usize, rate: f64) -> Self {
        let created = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&created);
        let thread = thread::spawn(move || {
            let start = Instant::now();
            for number in 0..calls {
                let due = Duration::from_secs_f64(number as f64 / rate);
                thread::sleep(due.saturating_sub(start.elapsed()));
                rest.post(
                    "Calls",
                    &[
                        ("From", "+1888"),
                        ("To", "2000"),
                        ("Url", &url),
                        ("StatusCallback", &events),
                        ("StatusCallbackEvent", "completed"),
                    ],
                )?;
                count.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
        Self { created, thread }
    }
}

/// The sockets of an idle server, once it has closed the connections that it no longer uses.
fn idle_sockets(server: &mut Server, want: Option<Sockets>) -> anyhow::Result<Sockets> {
    let pid = server.process().id();
    let want = match want {
        None => return sockets(pid),
        Some(want) => want,
    };
    let mut last = want;
    wait::until("sockets of an idle server", IDLE, || {
        thread::sleep(Duration::from_secs(1));
        last = sockets(pid).ok()?;
        (last == want).then_some(())
    })
    .map_err(|error| error.context(format!("{last:?} are open, {want:?} at the start")))?;
    Ok(last)
}

/// **Sockets = a + k × calls**: measured with 10 and with 20 calls that stay.
fn sockets_follow_the_calls(server: &mut Server, ua: &mut Ua, idle: Sockets) -> anyhow::Result<()> {
    let pid = server.process().id();
    let before = ua.tally().placed;
    for calls in [PROBES / 2, PROBES] {
        while ua.tally().placed < before + calls {
            ua.call("1000")?;
        }
        let want = idle.udp + calls * SOCKETS_PER_CALL;
        let mut last = idle;
        wait::until("sockets of live calls", Duration::from_secs(10), || {
            ua.pump(Duration::from_millis(20)).ok()?;
            last = sockets(pid).ok()?;
            (ua.talking() == calls && last.udp == want).then_some(())
        })
        .map_err(|error| error.context(format!("{calls} calls: {last:?}, at first {idle:?}")))?;
    }
    wait::until("end of the calls", Duration::from_secs(10), || {
        ua.hang_up_older(TALK);
        ua.pump(Duration::from_millis(20)).ok()?;
        (ua.live() == 0).then_some(())
    })?;
    anyhow::ensure!(ua.tally().failed.is_empty(), "{:?}", ua.tally().failed);
    Ok(())
}

fn mean(samples: &[f64]) -> f64 {
    samples.iter().sum::<f64>() / samples.len().max(1) as f64
}

#[test]
#[ignore = "takes minutes: just soak-smoke, just soak"]
fn many_calls_leave_nothing_behind() -> anyhow::Result<()> {
    let duration = Duration::from_secs(setting("PATCHCORD_SOAK_SECONDS", 60).into());
    let rate = f64::from(setting("PATCHCORD_SOAK_RATE", 50)) / 2.0;
    let calls = (duration.as_secs_f64() * rate) as usize;
    let app = App::start()?;
    app.on("/v", Reply::document("<Dial><Number>2000</Number></Dial>"));
    app.on(
        "/api",
        Reply::document("<Dial timeLimit=\"2\"><Number>2000</Number></Dial>"),
    );
    app.on("/events", Reply::status(204));
    let mut ua = Ua::bind()?;
    let trunk = ua.local();
    let config = format!(
        "[[trunk]]\nname = 'load'\nuri = '{trunk}'\naddresses = ['127.0.0.1', '127.0.0.2']\n"
    );
    let options = Options::default()
        .config(&config)
        .variable("PATCHCORD_LOG__LEVEL", "warn");
    let mut server = options.start()?;
    let pid = server.process().id();
    ua.connect(server.sip_udp()?);
    server.rest().number("1000", &app.url("/v"))?;

    thread::sleep(Duration::from_secs(1));
    let idle = idle_sockets(&mut server, None)?;
    sockets_follow_the_calls(&mut server, &mut ua, idle)?;

    let start = Instant::now();
    let (url, events) = (app.url("/api"), app.url("/events"));
    let caller = Caller::start(server.rest(), url, events, calls, rate);
    let mut memory = Vec::new();
    let mut sampled = start;
    let is_over = |ua: &Ua| ua.tally().ended + ua.tally().failures() >= calls + PROBES;
    while !is_over(&ua) || !caller.thread.is_finished() {
        anyhow::ensure!(
            start.elapsed() < duration + GRACE,
            "calls have not ended: {} live, {:?}",
            ua.live(),
            ua.tally()
        );
        let due = (start.elapsed().as_secs_f64() * rate) as usize;
        while ua.tally().placed < PROBES + due.min(calls) {
            ua.call("1000")?;
        }
        ua.hang_up_older(TALK);
        ua.pump(Duration::from_millis(2))?;
        if sampled.elapsed() >= Duration::from_secs(1) {
            sampled = Instant::now();
            memory.push(rss_mb(pid)?);
            if memory.len() % 60 == 0 {
                eprintln!(
                    "{:>3} min: {} + {} calls, {:.1} MB, failed {:?}",
                    memory.len() / 60,
                    ua.tally().ended,
                    caller.created.load(Ordering::Relaxed),
                    mean(&memory[memory.len() - 60..]),
                    ua.tally().failed,
                );
            }
        }
    }
    let took = start.elapsed().as_secs_f64();
    wait::until("end of every leg", Duration::from_secs(20), || {
        ua.pump(Duration::from_millis(5)).ok()?;
        (ua.live() == 0).then_some(())
    })?;
    let created = caller.created.load(Ordering::Relaxed);
    caller
        .thread
        .join()
        .map_err(|_| anyhow::anyhow!("the thread that creates calls panicked"))??;

    let tally = ua.tally();
    let mut setup = tally.setup_ms.clone();
    setup.sort_unstable();
    let thin = tally
        .legs
        .iter()
        .filter(|leg| leg.received < PACKETS)
        .count();
    let quarter = memory.len() / 4;
    let quarters: Vec<f64> = memory.chunks_exact(quarter.max(1)).map(mean).collect();
    eprintln!(
        "{calls} calls through the trunk and {created} with the API in {took:.0} s; failed {:?}; \
         set-up p50 {} ms, p99 {} ms; legs {}, thin {thin}; memory by quarter {quarters:.1?} MB",
        tally.failed,
        setup[setup.len() / 2],
        setup[setup.len() * 99 / 100],
        tally.legs.len(),
    );
    assert!(
        tally.failed.is_empty(),
        "{:?}\n{}",
        tally.failed,
        server.log()
    );
    assert_eq!(created, calls);
    assert_eq!(tally.ended, calls + PROBES);
    assert_eq!(tally.legs.len(), (calls + created + PROBES) * 2);
    assert!(
        thin * 1000 <= tally.legs.len(),
        "{thin} legs received fewer than {PACKETS} packets"
    );
    if duration >= LONG {
        assert!(
            quarters[3] <= quarters[2] * QUARTER_RATIO,
            "memory by quarter: {quarters:.1?} MB"
        );
    } else {
        let half = memory.len() / 2;
        let growth = memory[memory.len() - 1] - memory[half];
        assert!(growth < GROWTH_MB, "the second half added {growth:.1} MB");
    }
    everything_is_on_record(&server, calls, created)?;
    let done = || (app.requests("/events").len() == created).then_some(());
    wait::until("a callback for each call", Duration::from_secs(10), done)?;
    assert_eq!(server.metric("patchcord_calls_live")?, 0.0);
    idle_sockets(&mut server, Some(idle))?;
    sockets_follow_the_calls(&mut server, &mut ua, idle)
}

/// Every leg has ended as completed, and none is open.
fn everything_is_on_record(server: &Server, inbound: usize, created: usize) -> anyhow::Result<()> {
    let legs = (inbound + created + PROBES) * 2;
    let count = |status: &str| -> anyhow::Result<Option<u64>> {
        let list = server
            .rest()
            .get(&format!("Calls?Status={status}&PageSize=1"))?;
        Ok(list["total"].as_u64())
    };
    assert_eq!(count("completed")?, Some(legs as u64));
    for open in ["in-progress", "ringing", "queued"] {
        assert_eq!(count(open)?, Some(0), "{open}");
    }
    Ok(())
}
