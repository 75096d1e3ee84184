//! No text makes the reader panic, and every problem has a line that exists.

use rehearse::Script;

const SEED: &str = "name: a\ncall: {to: '1', from: kim, headers: {X-A: '1'}}
application: {start: /v, pages: {/v: [<Response/>, {status: 503, after: 1s}]}}
sounds: {~a.wav: 3s}
caller: [{expect: {say: ~Hi, at: start}}, {press: '12#'}, {press: {keys: '1', by: info}}, {wait: 250ms}, hangup]
api: [{at: 1s, redirect: ann, to: /w, both: true}, {at: 2s, cancel: caller}]
agents: {ws://a/: [{expect: {mark: a, within: 1s}}, {send: 1s}, clear, close], ws://b/: unreachable}
parties: {ann: [busy, {answers_after: 2s, then: [{expect: {pause: 1s..2s}}]}]}
expect: {verbs: [..., Say], requests: [POST /v: {From: null}], legs: {caller: {status: busy}},
  sent: {caller: [0s 180, ..., ~BYE]}, messages: [{to: ann, status: sent}], invites: {ann: {from: kim, headers: {X-A: {sid: ann}}}}}
";

const PIECES: [&str; 18] = [
    ":", ": ", "- ", "[", "]", "{", "}", "\n", "\n  ", "~", "'", "\"", "&a ", "*a ", "!!", "|\n",
    "\t", "ß\u{0}",
];

#[test]
fn survives_mutated_scripts() {
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut below = move |limit: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % limit as u64).unwrap_or(0)
    };
    let (mut read, mut refused) = (0, 0);
    for _ in 0..5_000 {
        let mut text: Vec<char> = SEED.chars().collect();
        for _ in 0..=below(3) {
            let at = below(text.len());
            match below(3) {
                0 => drop(text.remove(at)),
                1 => drop(text.drain(at..text.len().min(at + 1 + below(8)))),
                _ => drop(text.splice(at..at, PIECES[below(PIECES.len())].chars())),
            }
        }
        let text: String = text.into_iter().collect();
        match Script::parse(&text) {
            Ok(_) => read += 1,
            Err(problem) => {
                refused += 1;
                let lines = text.lines().count() + 1;
                assert!((1..=lines).contains(&problem.line), "{problem}\n{text}");
                assert!(!problem.text.is_empty());
            }
        }
    }
    assert!(
        read > 250 && refused > 250,
        "{read} read, {refused} refused"
    );
}
