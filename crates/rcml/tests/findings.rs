//! The findings of broken documents: number, place, message and suggestion.

use rcml::{Document, Finding, LeftOut, Level, MAX_BYTES, MAX_DEPTH, Verb};

/// A finding as one line: `code line:column message [suggestion]`.
fn line(finding: &Finding) -> String {
    let Finding {
        code,
        line,
        column,
        message,
        suggestion,
        ..
    } = finding;
    let hint = suggestion
        .as_ref()
        .map(|text| format!(" [{text}]"))
        .unwrap_or_default();
    format!("{code} {line}:{column} {message}{hint}")
}

fn lint(xml: &str) -> Vec<String> {
    Document::lint(xml, None).0.iter().map(line).collect()
}

#[test]
fn explains_broken_documents() {
    let table: &[(&str, &[&str])] = &[
        ("", &["12100 1:1 the document is empty"]),
        (
            "<!-- nothing -->",
            &["12100 1:1 there is no element; a document begins with `<Response>`"],
        ),
        (
            "\n <!DOCTYPE HTML>\n<html><br></html>",
            &[
                "12100 2:2 this is an HTML page, not a document; send XML that begins with `<Response>`",
            ],
        ),
        (
            "<html><br></html>",
            &[
                "12100 1:1 this is an HTML page, not a document; send XML that begins with `<Response>`",
            ],
        ),
        (
            " {\"a\": 1}",
            &["12100 1:2 this looks like JSON, not XML; send XML that begins with `<Response>`"],
        ),
        (
            "hello",
            &["12100 1:1 this is text, not XML; send XML that begins with `<Response>`"],
        ),
        (
            "%%<Response><Say>x</Say></Response>",
            &["12100 1:1 this is text, not XML; send XML that begins with `<Response>`"],
        ),
        (
            "<Response><Say>x</Response>",
            &["12100 1:17 `</Say>` was expected, but `</Response>` is here"],
        ),
        // Everything before the fault was closed, and there is a repair.
        (
            "<Response>\n<Say>a & b</Say><!-- <Play> -->\n<Dial>\n<Pause/>\n<Number>1</Number>\n\
             </Response>",
            &[
                "12100 6:1 `</Dial>` was expected for `Dial`, which begins on line 3, but `</Response>` is here",
            ],
        ),
        (
            r#"<Response>
  <Say>x</Say>"#,
            &[
                "12100 2:15 the text ends inside `Response`, which begins on line 1 and is not closed",
            ],
        ),
        (
            "<Response>\n<!-- <Dial> --><Pause/><Play></Play>\n\n<Say voice='>'\nlanguage='en'>A & B <![CDATA[<x>]]><x:b/>\n",
            &["12100 6:1 the text ends inside `Say`, which begins on line 4 and is not closed"],
        ),
        (
            "<Response/><Response/>",
            &["12100 1:12 a document has exactly one outer element, usually `<Response>`"],
        ),
        (
            r#"<Response>
  <Say voice="man>x</Say>
</Response>"#,
            &[
                "12100 2:20 a quote is missing before this `<`; inside quotes, `<` is written `&lt;`",
            ],
        ),
        (
            "<Response><Say voice=man>x</Say></Response>",
            &["12100 1:22 the value of an attribute must be in quotes"],
        ),
        (
            r#"<Response><Say voice="man" voice="woman">x</Say></Response>"#,
            &["12100 1:28 the attribute `voice` appears twice"],
        ),
        (
            r#"<!DOCTYPE r [<!ENTITY a "b">]>
<Response>&a;</Response>"#,
            &["12100 1:1 `<!DOCTYPE>` is not allowed here; send XML that begins with `<Response>`"],
        ),
        (
            r#"<Response>
  <Play>a?b=1&c=2&d=3</Play><Say>caf&eacute;</Say></Response>"#,
            &["12100 2:37 `&eacute;` is not known; write the character or `&amp;eacute;`"],
        ),
        (
            "<Response><Play>a?x=1&y=2&z=3</Play><Say>1 < 2</Say></Response>",
            &["12100 1:44 a name is expected here; a `<` in text is written `&lt;`"],
        ),
        (
            "<Response><Say>&#0;</Say></Response>",
            &["12100 1:16 this reference does not name a character that XML allows"],
        ),
        (
            r#" <?xml version="1.0"?><Response/>"#,
            &["12100 1:2 the XML declaration must be the first thing in the text"],
        ),
        (
            r#"<Response>
  <say>x</say>
  <Pley>y</Pley>
  <Blah/>
</Response>"#,
            &[
                "12200 2:3 `say` is not a verb; it was skipped [Say]",
                "12200 3:3 `Pley` is not a verb; it was skipped [Play]",
                "12200 4:3 `Blah` is not a verb; it was skipped",
            ],
        ),
        (
            "<response><Hangup/></response>",
            &[
                "12200 1:1 the root should be `Response`, not `response`; its content was run anyway",
            ],
        ),
        (
            "<VoiceResponse><say/></VoiceResponse>",
            &[
                "12200 1:1 the root should be `Response`, not `VoiceResponse`; its content was run anyway",
                "12200 1:16 `say` is not a verb; it was skipped [Say]",
            ],
        ),
        (
            "<call><Hangup/></call>",
            &["12200 1:1 the root should be `Response`, not `call`; its content was run anyway"],
        ),
        (
            "<say>Hello</say>",
            &["12200 1:1 the root should be `Response`, not `say`; nothing was run [Say]"],
        ),
        (
            "<html><head><title>404</title></head><body><h1>Not Found</h1></body></html>",
            &[
                "12100 1:1 this is an HTML page, not a document; send XML that begins with `<Response>`",
            ],
        ),
        (
            "<!-- page -->\n<HTML xmlns='http://www.w3.org/1999/xhtml'><Hangup/></HTML>",
            &[
                "12100 2:1 this is an HTML page, not a document; send XML that begins with `<Response>`",
            ],
        ),
        (
            r#"<Response>
  <Say Voice="man" langauge="en" foo="1">x</Say>
</Response>"#,
            &[
                "12201 2:8 `Say` has no attribute `Voice` [voice]",
                "12201 2:20 `Say` has no attribute `langauge` [language]",
                "12201 2:34 `Say` has no attribute `foo`",
            ],
        ),
        (
            r#"<Response><Say voice="alice" language="klingon" loop="twice">x</Say></Response>"#,
            &[
                "13511 1:16 `voice` of `Say` cannot be `alice` (man or woman); man was used",
                "13512 1:30 language `klingon` is not known; en was used",
                "13510 1:49 `loop` of `Say` cannot be `twice`; 1 was used",
            ],
        ),
        (
            "<Response><Say>Hello <break/> <emphasis>big</emphasis> <Brake/> <Play>x</Play> world</Say></Response>",
            &[
                "12202 1:56 `Brake` inside `Say` is not known; it was skipped",
                "12202 1:65 `Play` does not belong inside `Say`; it was skipped",
            ],
        ),
        (
            r#"<Response><Play loop="-1"> </Play><Play>file:///etc/passwd</Play><Play>a b.wav</Play></Response>"#,
            &[
                "13420 1:11 `Play` has no address; it was skipped",
                "13410 1:17 `loop` of `Play` cannot be `-1`; 1 was used",
                "11100 1:41 the address in `Play` is neither http nor https: `file:///etc/passwd`",
                "11100 1:72 the address in `Play` contains spaces: `a b.wav`",
            ],
        ),
        (
            r#"<Response><Play digits="1,2">x.wav</Play></Response>"#,
            &["12203 1:17 `digits` of `Play` cannot be `1,2`; no keys are sent"],
        ),
        (
            r#"<Response><Play digits="1">http://x/a.wav</Play><Play digits="2"/><Gather><Play digits="3">/a.wav</Play></Gather></Response>"#,
            &[
                "12202 1:28 the text in `Play` has no effect beside `digits`",
                "12202 1:81 `digits` has no effect inside `Gather`",
            ],
        ),
        (
            r#"<Response><Pause length="soon"/><Pause length="0"/><Pause length="1.5">x</Pause></Response>"#,
            &[
                "13910 1:18 `length` of `Pause` cannot be `soon`; 1 was used",
                "13910 1:40 `length` of `Pause` cannot be `0`; 1 was used",
                "13910 1:59 `length` of `Pause` cannot be `1.5`; 1 was used",
                "12202 1:72 the text in `Pause` has no effect",
            ],
        ),
        (
            r#"<Response><Reject reason="Busy"/><Reject reason="angry"/></Response>"#,
            &[
                "13810 1:19 `reason` of `Reject` cannot be `Busy` (rejected or busy); rejected was used [busy]",
                "12205 1:34 `Reject` never runs: `Reject` on line 1 ends the call, unless it was answered before",
                "13810 1:42 `reason` of `Reject` cannot be `angry` (rejected or busy); rejected was used",
            ],
        ),
        (
            r#"<Response><Redirect method="PUT"/><Redirect method="PSOT">x</Redirect></Response>"#,
            &[
                "13720 1:11 `Redirect` has no address; it was skipped",
                "13710 1:21 `method` of `Redirect` cannot be `PUT` (GET or POST); POST was used",
                "13710 1:45 `method` of `Redirect` cannot be `PSOT` (GET or POST); POST was used [POST]",
            ],
        ),
        (
            r#"<Response><Hangup reason="x">bye</Hangup></Response>"#,
            &[
                "12201 1:19 `Hangup` has no attribute `reason`; `Reject` does",
                "12202 1:30 the text in `Hangup` has no effect",
            ],
        ),
        (
            "<Response><Dial/><Dial> <!-- nobody --> </Dial></Response>",
            &[
                "13220 1:11 `Dial` does not name a party to call; it was skipped",
                "13220 1:18 `Dial` does not name a party to call; it was skipped",
            ],
        ),
        (
            r#"<Response><Dial timeout="-5" timeLimit="forever" method="DELETE" timelimit="9" record="yes" hangupOnStar="1">+2000</Dial></Response>"#,
            &[
                "13212 1:17 `timeout` of `Dial` cannot be `-5`; 30 was used",
                "13216 1:30 `timeLimit` of `Dial` cannot be `forever`; 14400 was used",
                "12210 1:50 `method` of `Dial` has no effect without `action`",
                "13210 1:50 `method` of `Dial` cannot be `DELETE` (GET or POST); POST was used",
                "12201 1:66 `Dial` has no attribute `timelimit` [timeLimit]",
                "12203 1:80 `record` of `Dial` cannot be `yes` (do-not-record or record-from-answer or record-from-ringing or record-from-answer-dual or record-from-ringing-dual); do-not-record was used",
                "12203 1:93 `hangupOnStar` of `Dial` cannot be `1` (true or false); false was used",
            ],
        ),
        (
            r#"<Response><Dial timeout="99999999999" callerId="a&#10;b" ringTone="uk" record="record-from-ringing-dual" recordingTrack="inbound" trim="silence">+2000</Dial></Response>"#,
            &[
                "13212 1:17 `timeout` of `Dial` cannot be `99999999999`; 30 was used",
                "13214 1:39 `callerId` of `Dial` cannot be `a�b`; the caller's own was used",
                "12203 1:72 `record` of `Dial` cannot be `record-from-ringing-dual` with `recordingTrack=\"inbound\"`; one channel is recorded",
                "12203 1:131 `trim` of `Dial` cannot be `silence` (trim-silence or do-not-trim); the default was used",
            ],
        ),
        (
            r#"<Response><Dial ringTone="usa">+2000</Dial><Dial ringTone="Automatic">+2000</Dial></Response>"#,
            &[
                "12203 1:17 `ringTone` of `Dial` cannot be `usa`, which is not the code of a country with a ring tone; automatic was used [us]",
            ],
        ),
        (
            "<Response><Dial>+2000<Client>ann</Client></Dial></Response>",
            &["12202 1:22 `Client` has no effect beside text in `Dial`"],
        ),
        (
            r#"<Response>
  <Dial>
    <Client>ann</Client>
    <Conference>room</Conference>
    <Conference>hall</Conference>
  </Dial>
</Response>"#,
            &[
                "12202 3:5 `Client` has no effect beside a `Conference` in `Dial`",
                "12202 5:5 `Conference` has no effect beside the first one in `Dial`",
            ],
        ),
        (
            r#"<Response>
  <Dial record="true">
    <Conference maxParticipants="900" muted="loud" coach="CA1" beep="yes">room<Number/></Conference>
  </Dial>
  <Dial><Conference maxParticipants="0">room</Conference></Dial>
  <Dial><Conference statusCallbackEvent="start speaker jion" statusCallback="/s" participantLabel="CA00000000000000000000000000000001">room</Conference></Dial>
  <Dial><Conference/></Dial>
  <Dial><Conference record="record-from-ringing" trim="yes" recordingStatusCallback="/r" recordingStatusCallbackEvent="done">room</Conference></Dial>
</Response>"#,
            &[
                "12204 2:9 `record` of `Dial` does not record a conference here",
                "13226 3:17 `maxParticipants` of `Conference` cannot be `900`; 250 was used",
                "12203 3:39 `muted` of `Conference` cannot be `loud` (true or false); false was used",
                "12203 3:52 `coach` of `Conference` cannot be `CA1`; the participant is muted",
                "12203 3:64 `beep` of `Conference` cannot be `yes` (true or false or onEnter or onExit); true was used",
                "12202 3:79 `Number` does not belong inside `Conference`; it was skipped",
                "13226 5:21 `maxParticipants` of `Conference` cannot be `0`; 40 was used",
                "13223 6:21 `statusCallbackEvent` cannot be `speaker`; it was left out",
                "13223 6:21 `statusCallbackEvent` cannot be `jion`; it was left out [join]",
                "13235 6:82 `participantLabel` of `Conference` cannot be `CA00000000000000000000000000000001`; it was left out",
                "13225 7:9 `Conference` does not name a room",
                "12203 8:21 `record` of `Conference` cannot be `record-from-ringing` (do-not-record or record-from-start); do-not-record was used",
                "12203 8:50 `trim` of `Conference` cannot be `yes` (trim-silence or do-not-trim); the default was used",
                "13621 8:90 `recordingStatusCallbackEvent` cannot be `done`; it was left out",
            ],
        ),
        (
            "<Response><Dial><Say>x</Say><Numbr>+1</Numbr><Sim>q</Sim><Number>+2000<Video/></Number></Dial></Response>",
            &[
                "12202 1:17 `Say` does not belong inside `Dial`; it was skipped",
                "12202 1:29 `Numbr` inside `Dial` is not known; it was skipped [Number]",
                "12204 1:46 `Sim` inside `Dial` is not supported here; it was skipped; dial a `Number`",
                "12204 1:71 `Video` inside `Number` is not supported here; it was skipped",
            ],
        ),
        (
            "<Response><Dial action='/a'><Sim>q</Sim></Dial><Say>x</Say></Response>",
            &[
                "13220 1:11 `Dial` does not name a party to call; it was skipped",
                "12204 1:29 `Sim` inside `Dial` is not supported here; it was skipped; dial a `Number`",
            ],
        ),
        (
            "<Response><Dial><Client/><Sip>sip:a b@h</Sip><Number>+2000?a=%0d%0aTo:x&b c=1&X-=2</Number></Dial></Response>",
            &[
                "11100 1:17 `Client` does not name a party to call",
                "11100 1:26 `Sip` cannot call `sip:a b@h`",
                "13221 1:46 the header `a=%0d%0aTo:x` in `Number` was left out",
                "13221 1:46 the header `b c=1` in `Number` was left out",
                "13221 1:46 the header `X-=2` in `Number` was left out",
                "12206 1:72 a bare `&` (and 1 more) was read as `&amp;`",
            ],
        ),
        (
            "<Response><Dial>ann</Dial><Dial><Number>kim7?x=1</Number><Number>*21#</Number><Client>ann</Client></Dial></Response>",
            &[
                "13224 1:11 `ann` in `Dial` is not a number, but is called as one [<Client>ann</Client>]",
                "13224 1:33 `kim7` in `Number` is not a number, but is called as one [<Client>kim7</Client>]",
            ],
        ),
        (
            "<Response><Dial><Sip>ann</Sip><Uri>kim;transport=tcp?x=1.2</Uri><Sip>sip:pbx</Sip><Sip>pbx.example</Sip><Sip>pbx:5070</Sip><Sip>a@pbx</Sip></Dial></Response>",
            &[
                "13224 1:17 `ann` in `Sip` is called as a host name [<Client>ann</Client>]",
                "13224 1:31 `kim` in `Uri` is called as a host name [<Client>kim</Client>]",
            ],
        ),
        (
            r#"<Response><Dial><Client statusCallbackEvent="ringing anwsered" statusCallbackMethod="PUT" sendDigits="1" statusCallback="ftp://x/y">ann</Client></Dial></Response>"#,
            &[
                "13223 1:25 `statusCallbackEvent` cannot be `anwsered`; it was left out [answered]",
                "13223 1:64 `statusCallbackMethod` of `Client` cannot be `PUT` (GET or POST); POST was used",
                "12201 1:91 `Client` has no attribute `sendDigits`; `Number` does",
                "11100 1:106 `statusCallback` of `Client` is neither http nor https: `ftp://x/y`",
            ],
        ),
        (
            r#"<Response><Dial><Number sendDigits="12 x" byoc="BY1">+2000</Number></Dial></Response>"#,
            &[
                "12203 1:25 `sendDigits` of `Number` cannot be `12 x`; no keys are sent",
                "12204 1:43 `byoc` of `Number` has no effect here",
            ],
        ),
        (
            r#"<Response><Dial callerId="x@"><Number url="ftp://s" method="PUT">+2000</Number></Dial></Response>"#,
            &[
                "13214 1:17 `callerId` of `Dial` cannot be `x@`; the caller's own was used",
                "11100 1:39 `url` of `Number` is neither http nor https: `ftp://s`",
                "13210 1:53 `method` of `Number` cannot be `PUT` (GET or POST); POST was used",
            ],
        ),
        (
            r#"<Response><Dial action="http://a:99999/"><Number statusCallback="//[x">+2000</Number></Dial><Play>http://[bad</Play></Response>"#,
            &[
                "11100 1:17 `action` of `Dial` is malformed: `http://a:99999/`",
                "11100 1:50 `statusCallback` of `Number` is malformed: `//[x`",
                "12205 1:93 `Play` never runs: `Dial` on line 1 leaves the document for its `action`",
                "11100 1:99 the address in `Play` is malformed: `http://[bad`",
            ],
        ),
        (
            r#"<Response><Fax to="a"><Say>x</Say></Fax><Sms>y</Sms></Response>"#,
            &[
                "12204 1:11 `Fax` is not supported here; it was skipped; send it from the application",
            ],
        ),
        (
            r#"<Response><Record timeout="0" maxLength="1h" finishOnKey="a" method="PUT" playBeep="no" trim="off"><Say>x</Say></Record></Response>"#,
            &[
                "13611 1:19 `timeout` of `Record` cannot be `0`; 5 was used",
                "13612 1:31 `maxLength` of `Record` cannot be `1h`; 3600 was used",
                "13613 1:46 `finishOnKey` of `Record` cannot be `a`; # was used",
                "13610 1:62 `method` of `Record` cannot be `PUT` (GET or POST); POST was used",
                "12203 1:75 `playBeep` of `Record` cannot be `no` (true or false); false was used",
                "12203 1:89 `trim` of `Record` cannot be `off` (trim-silence or do-not-trim); the default was used",
                "12202 1:100 `Say` does not belong inside `Record`; it was skipped",
            ],
        ),
        (
            r#"<Response><Record transcribe="true" media="audio_video" recordingStatusCallback="a b" recordingStatusCallbackMethod="HEAD" recordingStatusCallbackEvent="done complete"/></Response>"#,
            &[
                "12204 1:19 `transcribe` of `Record` has no effect here",
                "12204 1:37 `media` of `Record` has no effect here",
                "11100 1:57 `recordingStatusCallback` of `Record` contains spaces: `a b`",
                "13621 1:87 `recordingStatusCallbackMethod` of `Record` cannot be `HEAD` (GET or POST); POST was used",
                "13621 1:124 `recordingStatusCallbackEvent` cannot be `done`; it was left out",
                "13621 1:124 `recordingStatusCallbackEvent` cannot be `complete`; it was left out [completed]",
            ],
        ),
        (
            r#"<Response><Connect action="a b" method="PUT"><Stream url="http://x" track="both_tracks" connectorName="c">x<Parameter value="1"/><Parameter name="a"/><Parameter name="a" value="2">t</Parameter><Say>y</Say></Stream><Stream url="/b"/><VirtualAgent/></Connect></Response>"#,
            &[
                "11100 1:20 `action` of `Connect` contains spaces: `a b`",
                "12203 1:33 `method` of `Connect` cannot be `PUT` (GET or POST); POST was used",
                "11100 1:54 `url` of `Stream` is neither ws nor wss: `http://x`",
                "31941 1:69 `track` of `Stream` cannot be `both_tracks` (inbound_track); inbound_track was used",
                "12204 1:89 `connectorName` of `Stream` has no effect here",
                "12202 1:107 the text in `Stream` has no effect",
                "31993 1:108 `Parameter` of `Stream` has no `name`; it was left out",
                "31993 1:151 `Parameter` of `Stream` has the name `a` of an earlier one; it was left out",
                "12202 1:181 the text in `Parameter` has no effect",
                "12202 1:194 `Say` does not belong inside `Stream`; it was skipped",
                "12202 1:215 only the first `Stream` or `ConversationRelay` in `Connect` is used",
                "12204 1:233 `VirtualAgent` inside `Connect` is not supported here; it was skipped; `Gather` with `input=\"speech\"` listens to the caller",
            ],
        ),
        (
            r#"<Response><Connect/><Start action="/a"><Stream/><Stream url="/b" track="no_track"/></Start><Stop><Stream url="/a"/></Stop><Stream url="/c"/></Response>"#,
            &[
                "31992 1:11 `Connect` has no `Stream` or `ConversationRelay`; it was skipped",
                "12204 1:28 `action` of `Start` has no effect here",
                "11100 1:40 `Stream` has no `url`; it was skipped",
                "31941 1:66 `track` of `Stream` cannot be `no_track` (inbound_track or outbound_track or both_tracks); inbound_track was used",
                "31991 1:98 `Stream` in `Stop` has no `name`; it was skipped",
                "12204 1:106 `url` of `Stream` has no effect here",
                "12202 1:123 `Stream` belongs inside `Connect`, `Start` or `Stop`; it was skipped",
            ],
        ),
        (
            r#"<Response><Connect action="/a"><Stream url="/b"/></Connect><Say>never</Say></Response>"#,
            &[
                "12205 1:60 `Say` never runs: `Connect` on line 1 leaves the document for its `action`",
            ],
        ),
        (
            r#"<Response><Sms to="a b" from=" " method="PUT" action="ftp://x" statusCallback="a b" tofrom="1"/></Response>"#,
            &[
                "14103 1:11 `Sms` has no text; the document ends here",
                "14102 1:11 `from` of `Sms` is empty; the document ends here",
                "14101 1:16 `to` of `Sms` cannot be `a b`; the document ends here",
                "14104 1:34 `method` of `Sms` cannot be `PUT` (GET or POST); POST was used",
                "11100 1:47 `action` of `Sms` is neither http nor https: `ftp://x`",
                "11100 1:64 `statusCallback` of `Sms` contains spaces: `a b`",
                "12201 1:85 `Sms` has no attribute `tofrom` [from]",
            ],
        ),
        (
            r#"<Response><Dial action="/a"><Conference>room</Conference></Dial><Say>The room is full.</Say></Response>"#,
            &[],
        ),
        (
            r#"<Response><Sms action="/a">x</Sms><Say>never</Say></Response>"#,
            &["12205 1:35 `Say` never runs: `Sms` on line 1 leaves the document for its `action`"],
        ),
        (
            r#"<Response><Gather finishOnKey="x" timeout="0" numDigits="0" startInputKey="A" method="PUT"/></Response>"#,
            &[
                "13310 1:19 `finishOnKey` of `Gather` cannot be `x`; # was used",
                "13313 1:35 `timeout` of `Gather` cannot be `0`; 5 was used",
                "13314 1:47 `numDigits` of `Gather` cannot be `0`; no limit was used",
                "13315 1:61 `startInputKey` of `Gather` cannot be `A`; any key can start input",
                "13312 1:79 `method` of `Gather` cannot be `PUT` (GET or POST); POST was used",
            ],
        ),
        (
            r#"<Response><Gather input="dtmf speech" hints="a" numdigits="1">press <Sya>x</Sya><Dial>1</Dial><Play digits="1"/></Gather></Response>"#,
            &[
                "12201 1:49 `Gather` has no attribute `numdigits` [numDigits]",
                "12202 1:63 the text in `Gather` has no effect; put it into `Say`",
                "12202 1:69 `Sya` inside `Gather` is not known; it was skipped [Say]",
                "12202 1:81 `Dial` does not belong inside `Gather`; it was skipped",
                "12202 1:101 `digits` has no effect inside `Gather`",
            ],
        ),
        (
            r#"<Response><Gather input="speech dtmf" language="klingon" speechTimeout="soon" partialResultCallback="a b" partialResultCallbackMethod="PUT" speechModel="x" enhanced="true"/></Response>"#,
            &[
                "13331 1:39 language `klingon` is not known; en-US was used",
                "13332 1:58 `speechTimeout` of `Gather` cannot be `soon`; the value of `timeout` was used",
                "11100 1:79 `partialResultCallback` of `Gather` contains spaces: `a b`",
                "13312 1:107 `partialResultCallbackMethod` of `Gather` cannot be `PUT` (GET or POST); POST was used",
                "12204 1:141 `speechModel` of `Gather` has no effect here",
                "12204 1:157 `enhanced` of `Gather` has no effect here",
            ],
        ),
        (
            r#"<Response><Gather hints="yes" speechTimeout="auto"/></Response>"#,
            &[
                "13333 1:19 `hints` of `Gather` has no effect: `input` does not name speech",
                "13333 1:31 `speechTimeout` of `Gather` has no effect: `input` does not name speech",
            ],
        ),
        (
            r#"<Response><Gather input="keys" finishOnKey="1234567890*#1"/></Response>"#,
            &[
                "12203 1:19 `input` of `Gather` cannot be `keys` (dtmf, speech or both); dtmf was used",
                "13310 1:32 `finishOnKey` of `Gather` cannot be `1234567890*#1`; # was used",
            ],
        ),
        (
            "<Response><Number>+2000</Number><Conference>c</Conference><Response/>text</Response>",
            &[
                "12202 1:11 `Number` belongs inside `Dial`; it was skipped",
                "12202 1:33 `Conference` belongs inside `Dial`; it was skipped",
                "12202 1:59 `Response` belongs at the top; it was skipped",
                "12202 1:70 the text in `Response` has no effect",
            ],
        ),
        (
            r#"<Response version="1"><Sæy ünit="1">x</Sæy>ß<Foo/></Response>"#,
            &[
                "12201 1:11 `Response` has no attribute `version`",
                "12200 1:23 `Sæy` is not a verb; it was skipped [Say]",
                "12202 1:44 the text in `Response` has no effect",
                "12200 1:45 `Foo` is not a verb; it was skipped",
            ],
        ),
        (
            r#"<a:Response xmlns:b="urn:b"><a:Say b:loop="x">x</a:Say><Foo/></a:Response>"#,
            &[
                "12206 1:2 the prefix `a` is not declared",
                "13510 1:36 `loop` of `Say` cannot be `x`; 1 was used",
                "12200 1:56 `Foo` is not a verb; it was skipped",
            ],
        ),
        (
            r#"<Response xmlns="urn:a" xmlns:rc="urn:rc"><Pause rc:length="9" rc:lenth="3" length="2"/><Say xml:lang="de">x</Say></Response>"#,
            &[
                "12201 1:64 `Pause` has no attribute `lenth` [length]",
                "12201 1:77 `length` of `Pause` appears twice; the first one is used",
                "12201 1:94 `Say` has no attribute `lang`",
            ],
        ),
        (
            r#"<Response xmlns:rc="urn:rc"><Sms rc:to="">x</Sms></Response>"#,
            &["14101 1:29 `to` of `Sms` is empty; the document ends here"],
        ),
        (
            "<!-- tw:Say -->\n<Response>\n  <Say>as tw: said &</Say>\n  <Pause tw:length='2'/><rc:Say>x</rc:Say>\n</Response>",
            &[
                "12206 3:20 a bare `&` was read as `&amp;`",
                "12206 4:10 the prefix `tw` is not declared",
                "12206 4:26 the prefix `rc` is not declared",
            ],
        ),
        (
            "<Response><Redirect>http://u:secret@host/a b</Redirect><Say>a&nbsp;b</Say></Response>",
            &["12100 1:62 `&nbsp;` is not known; write the character or `&amp;nbsp;`"],
        ),
        ("<Response><Say><!-- a", &["12100 1:22 expected '-->'"]),
    ];
    for (xml, expected) in table {
        assert_eq!(lint(xml), *expected, "{xml}");
    }
}

#[test]
fn refuses_what_is_too_large_or_too_deep() {
    let deep = |depth: usize| "<a>".repeat(depth) + &"</a>".repeat(depth);
    assert!(Document::parse(&deep(MAX_DEPTH)).is_ok());
    let error = Document::parse(&deep(MAX_DEPTH + 1)).expect_err("too deep");
    assert_eq!((error.line, error.column), (1, 3 * 64 + 1));
    assert_eq!(error.message, "elements are nested deeper than 64");
    assert!(Document::parse(&deep(100_000)).is_err());

    let long = |length: usize| format!("<Say>{}</Say>", "x".repeat(length - 11));
    assert!(Document::parse(&long(MAX_BYTES)).is_ok());
    assert!(Document::parse(&long(MAX_BYTES + 1)).is_err());
    let many = "<Leave/>".repeat(60_000);
    assert!(Document::parse(&format!("<Response>{many}</Response>")).is_err());
}

#[test]
fn keeps_a_limited_number_of_findings() {
    let document =
        Document::parse(&format!("<a>{}</a>", "<b/>".repeat(5000))).expect("well-formed");
    assert_eq!(document.findings.len(), 100);
    let errors = 5001 - 100;
    assert_eq!(
        document.left_out,
        LeftOut {
            errors,
            warnings: 0
        }
    );
}

#[test]
fn what_asks_for_nothing_is_not_reported() {
    let conference = |attributes: &str| {
        lint(&format!(
            "<Dial><Conference {attributes}>a</Conference></Dial>"
        ))
    };
    for attributes in [
        "beep=\"false\"",
        "waitUrl=\"\"",
        "waitUrl=\"/music\"",
        "record=\"do-not-record\" coach=' '",
        "record=\"record-from-start\" trim=\"trim-silence\" recordingStatusCallback=\"/r\"",
    ] {
        assert_eq!(conference(attributes), [""; 0], "{attributes}");
    }
    for attributes in ["region=\"ie1\"", "eventCallbackUrl=\"/e\""] {
        let found = conference(attributes);
        assert!(
            matches!(&found[..], [one] if one.starts_with("12204")),
            "{found:?}"
        );
    }
}

#[test]
fn what_does_not_run_is_an_error() {
    let table = [
        ("<Response><Fax/></Response>", Level::Error),
        ("<Response><Dail/></Response>", Level::Error),
        ("<Response><Number>1</Number></Response>", Level::Error),
        ("<Response>Hello</Response>", Level::Error),
        (
            "<Response><Say volume='1'>x</Say></Response>",
            Level::Warning,
        ),
    ];
    for (xml, level) in table {
        let (findings, _) = Document::lint(xml, None);
        let levels: Vec<Level> = findings.iter().map(|finding| finding.level).collect();
        assert_eq!(levels, [level], "{xml}");
    }
}

#[test]
fn an_error_is_listed_rather_than_a_warning() {
    let warnings = |count: usize| "<Pause length='x'/>".repeat(count);
    let errors = |count: usize| "<Redirect>ftp://x/</Redirect>".repeat(count);
    // Warnings, errors, then how many of each are listed and left out, errors first. A verb after
    // the first `Redirect` is a warning itself.
    let table = [
        (99, 1, (1, 99), (0, 0)),
        (100, 1, (1, 99), (0, 1)),
        (150, 1, (1, 99), (0, 51)),
        (150, 99, (99, 1), (0, 150)),
        (100, 101, (100, 0), (1, 101)),
        (0, 120, (100, 0), (20, 1)),
    ];
    for (warned, failed, listed, left_out) in table {
        let xml = format!(
            "<Response>{}{}</Response>",
            warnings(warned),
            errors(failed)
        );
        let (findings, more) = Document::lint(&xml, None);
        let errors = findings
            .iter()
            .filter(|finding| finding.level == Level::Error)
            .count();
        let case = format!("{warned} warnings, {failed} errors");
        assert_eq!((errors, findings.len() - errors), listed, "{case}");
        assert_eq!((more.errors, more.warnings), left_out, "{case}");
    }
}

#[test]
fn an_element_has_only_so_many_attributes() {
    let with = |count: usize, before: &str| {
        let attributes: String = (0..count).map(|n| format!(" a{n}='=>'")).collect();
        lint(&format!(
            "<Response>{before}<Say{attributes}>x</Say></Response>"
        ))
    };
    assert_eq!(
        with(200, "").len(),
        100,
        "each is unknown, and so many are told"
    );
    for before in [
        "",
        "<!-- <a \" -->",
        "<![CDATA[ <a ' ]]>",
        "<Pause length='=\">'/>",
    ] {
        let column = 11 + before.len();
        let expected = format!("12100 1:{column} the element has more than 200 attributes");
        assert_eq!(with(201, before), [expected]);
    }
}

#[test]
fn a_dial_names_only_so_many_parties() {
    for (count, expected) in [
        (50, None),
        (
            60,
            Some("13222 52:5 only the first 50 parties in `Dial` are called"),
        ),
    ] {
        let nouns = "    <Client>ann</Client>\n".repeat(count);
        let xml = format!("<Dial>\n{nouns}</Dial>");
        assert_eq!(lint(&xml), expected.into_iter().collect::<Vec<_>>());
        let document = Document::parse(&xml).expect("well-formed");
        let [Verb::Dial(dial)] = &document.verbs[..] else {
            panic!("{document:?}")
        };
        assert_eq!(dial.nouns.len(), 50);
    }
}

#[test]
fn a_document_with_too_many_hints_is_refused() {
    let entries = |count: usize, length: usize| vec!["h".repeat(length); count].join(", ");
    // Entries, characters of each, findings.
    let table = [
        (50, 1, None),
        (1, 100, None),
        (
            51,
            1,
            Some("`hints` of `Gather` has 51 entries; at most 50 are allowed"),
        ),
        (
            2,
            101,
            Some("entry 1 of `hints` of `Gather` has more than 100 characters"),
        ),
    ];
    for (count, length, expected) in table {
        let hints = entries(count, length);
        let xml = format!(
            "<Response>\n  <Oops/><Gather input=\"speech\" hints=\"{hints},, \"/></Response>"
        );
        let (found, _) = Document::lint(&xml, None);
        let told: Vec<_> = found
            .iter()
            .filter(|finding| finding.code == 13330)
            .map(|finding| (finding.line, finding.column, finding.message.as_str()))
            .collect();
        let wanted: Vec<_> = expected
            .map(|message| (2, 33, message))
            .into_iter()
            .collect();
        assert_eq!(told, wanted);
        // The rest is reported as well.
        assert_eq!(found.len(), 1 + wanted.len());
        let refused = Document::parse(&xml).err().map(|error| {
            assert!(!error.is_no_xml());
            (error.code, error.line, error.column)
        });
        assert_eq!(refused, expected.map(|_| (13330, 2, 33)));
    }
    // However many other faults there are.
    let many = "<Oops/>".repeat(150);
    let hints = entries(51, 1);
    for xml in [
        format!("<Response>{many}<Gather hints='{hints}'/></Response>"),
        format!("<Response><Gather hints='{hints}'/>{many}</Response>"),
    ] {
        assert!(Document::parse(&xml).is_err());
        let (found, _) = Document::lint(&xml, None);
        assert_eq!(found.len(), 100);
        assert!(found.iter().any(|finding| finding.code == 13330));
    }
}
