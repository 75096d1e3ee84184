//! Reading a message takes a bounded number of allocations; unlike time, this does not depend on
//! the machine.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]
#![expect(
    unsafe_code,
    reason = "a global allocator that counts cannot be written without"
)]

use sip_proto::parse::parse_bytes;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

const INVITE: &str = "INVITE sip:+15551234567@198.51.100.7:5060;transport=udp SIP/2.0\r\n\
    Via: SIP/2.0/UDP 203.0.113.9:5060;branch=z9hG4bK-524287-1---6a1f0c3e2b;rport\r\n\
    Via: SIP/2.0/UDP 192.168.1.20:5062;branch=z9hG4bKnas;received=203.0.113.77;rport=5062\r\n\
    Record-Route: <sip:203.0.113.9;lr>\r\n\
    Max-Forwards: 69\r\n\
    From: \"Alice Example\" <sip:alice@example.com>;tag=9fxced76sl\r\n\
    To: <sip:+15551234567@example.com>\r\n\
    Call-ID: 3848276298220188511@203.0.113.9\r\n\
    CSeq: 1 INVITE\r\n\
    Contact: <sip:alice@192.168.1.20:5062;transport=udp>\r\n\
    Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, REFER, NOTIFY, INFO\r\n\
    Supported: replaces, timer, 100rel\r\n\
    User-Agent: Example Phone 1.2.3\r\n\
    X-Custom: hello\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 5\r\n\r\nv=0\r\n";

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is forwarded unchanged to the system allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[test]
fn an_invite_takes_few_allocations() {
    let bytes = bytes::Bytes::from_static(INVITE.as_bytes());
    // The harness may allocate on its own thread meanwhile, so the minimum of several runs counts.
    let least = (0..20)
        .map(|_| {
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            let message = parse_bytes(bytes.clone()).unwrap();
            let after = ALLOCATIONS.load(Ordering::Relaxed);
            assert_eq!(message.headers().len(), 14);
            after - before
        })
        .min();
    assert!(
        least.is_some_and(|count| count <= 20),
        "{least:?} allocations"
    );
}
