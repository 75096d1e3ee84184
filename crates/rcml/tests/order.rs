//! Which elements of a document run, and in which order.

use rcml::Document;

fn run(xml: &str) -> String {
    let document = Document::parse(xml).unwrap_or_else(|error| panic!("{xml}: {error}"));
    let names: Vec<&str> = document.verbs.iter().map(rcml::Verb::name).collect();
    names.join(" ")
}

#[test]
fn walks_depth_first_but_not_into_verbs() {
    let table = [
        ("<Response/>", ""),
        (
            "<Response> <Play>a</Play> <Say>b</Say> </Response>",
            "Play Say",
        ),
        ("<Play>a</Play>", "Play"),
        ("<Dial><Client>ann</Client></Dial>", "Dial"),
        (
            "<?xml version='1.0'?><!-- hi --><Response><Hangup/></Response>",
            "Hangup",
        ),
        ("\u{feff}<Response><Hangup/></Response>", "Hangup"),
        (
            "<Response><Wrap><Say>a</Say></Wrap><Play>b</Play></Response>",
            "Say Play",
        ),
        ("<a><b><c><Pause/></c><Say>x</Say></b></a>", "Pause Say"),
        ("<Response><Say><Hangup/>x</Say></Response>", "Say"),
        ("<Response><Say><b><Hangup/></b>x</Say></Response>", "Say"),
        (
            "<Response><Gather><Say>x</Say></Gather><Play>b</Play></Response>",
            "Gather Play",
        ),
        (
            "<Response><Response><Say>x</Say></Response></Response>",
            "Say",
        ),
        (
            "<r:Response xmlns:r='urn:r'><r:Say>x</r:Say></r:Response>",
            "Say",
        ),
        (
            "<r:Response><q:Say z:voice='man'>x</q:Say></r:Response>",
            "Say",
        ),
        ("<response><say>x</say><Say>y</Say></response>", "Say"),
        (
            "<Response><Client>ann</Client><Hangup/></Response>",
            "Hangup",
        ),
        (
            "<Response><Conference>a</Conference><Hangup/></Response>",
            "Conference Hangup",
        ),
        ("<Response><Dial/><Play>x</Play></Response>", "Dial Play"),
        (
            "<Response>text<Enqueue/><Leave/></Response>",
            "Enqueue Leave",
        ),
    ];
    for (xml, expected) in table {
        assert_eq!(run(xml), expected, "{xml}");
    }
}

#[test]
fn only_the_last_run_of_split_text_counts() {
    let table = [
        ("<Redirect>one<b/>two<b/> </Redirect>", "two"),
        ("<Redirect>one<b>no</b></Redirect>", "one"),
        (
            "<Redirect>o<![CDATA[n]]>e<b/><![CDATA[ tw]]>o</Redirect>",
            "two",
        ),
    ];
    for (xml, expected) in table {
        let document = Document::parse(xml).expect(xml);
        let rcml::Verb::Redirect(redirect) = &document.verbs[0] else {
            panic!("{xml}")
        };
        assert_eq!(redirect.url, expected, "{xml}");
        assert!(!document.findings.is_empty(), "{xml}");
    }
}
