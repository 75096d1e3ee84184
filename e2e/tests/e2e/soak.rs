//! Many calls with media at a steady rate: nothing may fail, leak or stay behind.
//!
//! Each call goes through the number, the document and `<Dial>` to a second leg, and both legs carry
//! RTP for a second. Run by `just soak` (50,000 calls) and `just soak-smoke`.

use std::time::{Duration, Instant};

use e2e::load::ua::Ua;
use e2e::server::Options;
use e2e::{App, Reply, Server, setting, wait};

/// How long both sides of a call talk.
const TALK: Duration = Duration::from_secs(1);
/// Packets that each leg must receive in that time, of about 50.
const PACKETS: u64 = 35;
/// What the second half may add to the server's memory.
const GROWTH_BYTES: f64 = 10e6;

/// The resident memory of the server.
fn memory(server: &Server) -> anyhow::Result<f64> {
    server.metric("process_resident_memory_bytes")
}

#[test]
#[ignore = "takes minutes: just soak-smoke, just soak"]
fn many_calls_leave_nothing_behind() -> anyhow::Result<()> {
    let (calls, rate) = (
        setting("PATCHCORD_SOAK_CALLS", 2000) as usize,
        setting("PATCHCORD_SOAK_RATE", 50),
    );
    let app = App::start()?;
    app.on("/v", Reply::document("<Dial><Number>2000</Number></Dial>"));
    let mut ua = Ua::bind()?;
    let trunk = ua.local();
    let config = format!("[[trunk]]\nname = 'load'\nuri = '{trunk}'\naddresses = ['127.0.0.1']\n");
    let options = Options::default()
        .config(&config)
        .variable("PATCHCORD_LOG__LEVEL", "warn");
    let server = options.start()?;
    ua.connect(server.sip_udp()?);
    server.rest().number("1000", &app.url("/v"))?;

    let start = Instant::now();
    let mut halfway = None;
    while ua.tally().ended + ua.tally().failures() < calls {
        let due = (start.elapsed().as_secs_f64() * f64::from(rate)) as usize;
        while ua.tally().placed < due.min(calls) {
            ua.call("1000")?;
        }
        ua.hang_up_older(TALK);
        ua.pump(Duration::from_millis(2))?;
        if halfway.is_none() && ua.tally().placed >= calls / 2 {
            halfway = Some(memory(&server)?);
        }
    }
    let took = start.elapsed().as_secs_f64();
    let at_end = memory(&server)?;
    wait::until("end of every leg", Duration::from_secs(10), || {
        ua.pump(Duration::from_millis(5)).ok()?;
        (ua.live() == 0).then_some(())
    })?;

    let tally = ua.tally();
    let mut setup = tally.setup_ms.clone();
    setup.sort_unstable();
    let thin = tally
        .legs
        .iter()
        .filter(|leg| leg.received < PACKETS)
        .count();
    let growth = at_end - halfway.unwrap_or(at_end);
    eprintln!(
        "{calls} calls in {took:.0} s ({:.1}/s); failed {:?}; set-up p50 {} ms, p99 {} ms; \
         legs {}, thin {thin}; memory {:.1} MB, second half {:+.1} MB",
        calls as f64 / took,
        tally.failed,
        setup[setup.len() / 2],
        setup[setup.len() * 99 / 100],
        tally.legs.len(),
        at_end / 1e6,
        growth / 1e6,
    );
    assert!(
        tally.failed.is_empty(),
        "{:?}\n{}",
        tally.failed,
        server.log()
    );
    assert_eq!((tally.ended, tally.legs.len()), (calls, calls * 2));
    assert!(
        thin * 1000 <= tally.legs.len(),
        "{thin} legs received fewer than {PACKETS} packets"
    );
    assert!(
        growth < GROWTH_BYTES,
        "the second half added {:.1} MB",
        growth / 1e6
    );
    for open in ["in-progress", "ringing", "queued"] {
        let list = server
            .rest()
            .get(&format!("Calls?Status={open}&PageSize=1"))?;
        assert_eq!(
            list["calls"].as_array().map(Vec::len),
            Some(0),
            "{open}: {list}"
        );
    }
    assert_eq!(server.metric("patchcord_calls_live")?, 0.0);
    Ok(())
}
