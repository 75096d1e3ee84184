//! Writes verbs as a document, for tests and tools.
//!
//! **Invariant: reading what was written gives the same verbs, except for their line numbers.**
//! Attributes at their default are not written; of an unsupported verb only the name is.

use crate::document::unless_post;
use crate::verb::{
    Branch, CallRecording, Conference, ConferenceRecording, Connect, ConnectNoun,
    ConversationRelay, Dial, Email, Enqueue, Gather, Inputs, LegEvent, Manner, Noun, Pause, Play,
    Prompt, Queue, Record, RecordingCallback, Refer, RejectReason, RingTone, Say, Sides, Siprec,
    Sms, Speech, SpeechTimeout, Spoken, StartNoun, StopNoun, Stream, Track, Transcription, Verb,
    Voice,
};

/// The document that holds these verbs.
pub(crate) fn write(verbs: &[Verb]) -> String {
    let mut out = Writer(String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response>\n",
    ));
    for verb in verbs {
        out.verb(verb);
    }
    out.0.push_str("</Response>\n");
    out.0
}

type Pairs<'a> = Vec<(&'static str, Option<String>)>;

struct Writer(String);

impl Writer {
    fn verb(&mut self, verb: &Verb) {
        match verb {
            Verb::Say(say) => self.say(1, say),
            Verb::Play(play) => self.play(1, play),
            Verb::Pause(pause) => self.pause(1, pause),
            Verb::Hangup(_) => self.line(1, "Hangup", Vec::new(), ""),
            Verb::Reject(reject) => {
                let reason = (reject.reason != RejectReason::Rejected)
                    .then(|| reject.reason.as_str().to_owned());
                self.line(1, "Reject", vec![("reason", reason)], "");
            }
            Verb::Redirect(redirect) => {
                let method = unless_post(redirect.method).map(str::to_owned);
                self.line(1, "Redirect", vec![("method", method)], &redirect.url);
            }
            Verb::Dial(dial) => self.dial(dial),
            Verb::Gather(gather) => self.gather(gather),
            Verb::Record(record) => self.line(1, "Record", record_attributes(record), ""),
            Verb::Email(email) => self.line(1, "Email", email_attributes(email), &email.text),
            Verb::Sms(sms) => self.line(1, "Sms", sms_attributes(sms), &sms.text),
            Verb::Connect(connect) => {
                let attributes = connect_attributes(connect);
                match &connect.noun {
                    Some(ConnectNoun::Relay(relay)) => self.relay(attributes, relay),
                    Some(ConnectNoun::Stream(stream)) => {
                        self.streams("Connect", attributes, std::slice::from_ref(stream));
                    }
                    None => self.streams("Connect", attributes, &[]),
                }
            }
            Verb::Start(start) => self.start(&start.nouns),
            Verb::Stop(stop) => {
                self.0.push_str("  <Stop>\n");
                for noun in &stop.nouns {
                    let (element, name) = match noun {
                        StopNoun::Stream(name) => ("Stream", name),
                        StopNoun::Recording(name) => ("Recording", name),
                        StopNoun::Transcription(name) => ("Transcription", name),
                        StopNoun::Siprec(name) => ("Siprec", name),
                    };
                    self.line(2, element, vec![("name", Some(name.clone()))], "");
                }
                self.0.push_str("  </Stop>\n");
            }
            Verb::Enqueue(enqueue) => {
                self.line(1, "Enqueue", enqueue_attributes(enqueue), &enqueue.name);
            }
            Verb::Leave(_) => self.line(1, "Leave", Vec::new(), ""),
            Verb::Refer(refer) => self.refer(refer),
            Verb::Echo(_) => self.line(1, "Echo", Vec::new(), ""),
            Verb::Unsupported(verb) => self.line(1, &verb.name, Vec::new(), ""),
        }
    }

    fn streams(&mut self, verb: &str, attributes: Pairs<'_>, streams: &[Stream]) {
        self.open(1, verb, attributes);
        self.0.push_str(">\n");
        for stream in streams {
            self.stream(stream);
        }
        self.0.push_str(&format!("  </{verb}>\n"));
    }

    fn stream(&mut self, stream: &Stream) {
        self.open(2, "Stream", stream_attributes(stream));
        self.0.push_str(">\n");
        self.parameters(&stream.parameters);
        self.0.push_str("    </Stream>\n");
    }

    fn start(&mut self, nouns: &[StartNoun]) {
        self.0.push_str("  <Start>\n");
        for noun in nouns {
            match noun {
                StartNoun::Stream(stream) => self.stream(stream),
                StartNoun::Recording(recording) => {
                    self.line(2, "Recording", call_recording_attributes(recording), "");
                }
                StartNoun::Transcription(it) => {
                    self.line(2, "Transcription", transcription_attributes(it), "");
                }
                StartNoun::Siprec(siprec) => {
                    self.open(2, "Siprec", siprec_attributes(siprec));
                    self.0.push_str(">\n");
                    self.parameters(&siprec.parameters);
                    self.0.push_str("    </Siprec>\n");
                }
            }
        }
        self.0.push_str("  </Start>\n");
    }

    fn relay(&mut self, attributes: Pairs<'_>, relay: &ConversationRelay) {
        self.open(1, "Connect", attributes);
        self.0.push_str(">\n");
        self.open(2, "ConversationRelay", relay_attributes(relay));
        self.0.push_str(">\n");
        for (code, voice) in &relay.languages {
            let pairs = vec![("code", Some(code.clone())), ("voice", unless_man(*voice))];
            self.line(3, "Language", pairs, "");
        }
        self.parameters(&relay.parameters);
        self.0.push_str("    </ConversationRelay>\n  </Connect>\n");
    }

    fn parameters(&mut self, parameters: &[(String, String)]) {
        for (name, value) in parameters {
            let value = (!value.is_empty()).then(|| value.clone());
            let pairs = vec![("name", Some(name.clone())), ("value", value)];
            self.line(3, "Parameter", pairs, "");
        }
    }

    fn dial(&mut self, dial: &Dial) {
        self.open(1, "Dial", dial_attributes(dial));
        self.0.push_str(">\n");
        for noun in &dial.nouns {
            match noun {
                Noun::Number(branch) | Noun::Client(branch) | Noun::Sip(branch) => {
                    let text = noun_text(noun, branch);
                    self.line(2, noun.name(), branch_attributes(branch), &text);
                }
                Noun::Conference(it) => {
                    self.line(2, "Conference", conference_attributes(it), &it.name);
                }
                Noun::Queue(it) => self.line(2, "Queue", queue_attributes(it), &it.name),
                Noun::Unsupported(_) => self.line(2, noun.name(), Vec::new(), ""),
            }
        }
        self.0.push_str("  </Dial>\n");
    }

    fn refer(&mut self, refer: &Refer) {
        let method = unless_post(refer.method).map(str::to_owned);
        let attributes = vec![("action", refer.action.clone()), ("method", method)];
        self.open(1, "Refer", attributes);
        self.0.push_str(">\n");
        if let Some(target) = &refer.target {
            self.line(2, "Sip", Vec::new(), target);
        }
        self.0.push_str("  </Refer>\n");
    }

    fn gather(&mut self, gather: &Gather) {
        self.open(1, "Gather", gather_attributes(gather));
        self.0.push_str(">\n");
        for prompt in &gather.prompts {
            match prompt {
                Prompt::Say(say) => self.say(2, say),
                Prompt::Play(play) => self.play(2, play),
                Prompt::Pause(pause) => self.pause(2, pause),
            }
        }
        self.0.push_str("  </Gather>\n");
    }

    fn say(&mut self, depth: usize, say: &Say) {
        if say.parts.is_empty() {
            return self.line(depth, "Say", say_attributes(say), &say.text);
        }
        self.open(depth, "Say", say_attributes(say));
        self.0.push('>');
        say.parts.iter().for_each(|part| self.spoken(part));
        self.0.push_str("</Say>\n");
    }

    fn spoken(&mut self, part: &Spoken) {
        match part {
            Spoken::Silence { ms } => self.0.push_str(&format!("<break time=\"{ms}ms\"/>")),
            Spoken::Words { text, manner } => {
                let Manner {
                    pace,
                    pitch,
                    loudness_db,
                } = manner;
                self.0.push_str(&format!(
                    "<prosody rate=\"{pace}%\" pitch=\"{pitch}%\" volume=\"{loudness_db:+}dB\">"
                ));
                self.escaped(text);
                self.0.push_str("</prosody>");
            }
        }
    }

    fn play(&mut self, depth: usize, play: &Play) {
        self.line(depth, "Play", play_attributes(play), &play.url);
    }

    fn pause(&mut self, depth: usize, pause: &Pause) {
        let length = unless(pause.seconds, Pause::DEFAULT_SECONDS);
        self.line(depth, "Pause", vec![("length", length)], "");
    }

    /// An element on its own line.
    fn line(&mut self, depth: usize, name: &str, attributes: Pairs<'_>, text: &str) {
        self.open(depth, name, attributes);
        if text.is_empty() {
            self.0.push_str("/>\n");
        } else {
            self.0.push('>');
            self.escaped(text);
            self.0.push_str(&format!("</{name}>\n"));
        }
    }

    /// A start tag up to, but not including, its end.
    fn open(&mut self, depth: usize, name: &str, attributes: Pairs<'_>) {
        self.0.push_str(&"  ".repeat(depth));
        self.0.push('<');
        self.0.push_str(name);
        for (name, value) in attributes {
            if let Some(value) = value {
                self.0.push_str(&format!(" {name}=\""));
                self.escaped(&value);
                self.0.push('"');
            }
        }
    }

    fn escaped(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\r' | '\n' | '\t' => self.0.push_str(&format!("&#{};", u32::from(c))),
                c => self.0.push(c),
            }
        }
    }
}

fn say_attributes(say: &Say) -> Pairs<'_> {
    let voice = (say.voice != Voice::Man).then(|| say.voice.as_str().to_owned());
    let language = (say.language != crate::language::DEFAULT).then(|| say.language.clone());
    vec![
        ("voice", voice),
        ("language", language),
        ("loop", looping(say.looping)),
    ]
}

fn play_attributes(play: &Play) -> Pairs<'_> {
    vec![
        ("loop", looping(play.looping)),
        ("digits", play.digits.clone()),
    ]
}

fn sms_attributes(sms: &Sms) -> Pairs<'_> {
    vec![
        ("to", sms.to.clone()),
        ("from", sms.from.clone()),
        ("action", sms.action.clone()),
        ("method", unless_post(sms.method).map(str::to_owned)),
        ("statusCallback", sms.status_callback.clone()),
    ]
}

fn email_attributes(email: &Email) -> Pairs<'_> {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let subject = (email.subject != Email::DEFAULT_SUBJECT).then(|| email.subject.clone());
    // Anything that is not a recording is as unusable as what was written.
    let attach = email.attach.as_ref().map_or("none".to_owned(), |attach| {
        let last = attach.last.then(|| crate::verb::LAST_RECORDING.to_owned());
        let named = attach.recordings.iter().map(ToString::to_string);
        last.into_iter().chain(named).collect::<Vec<_>>().join(" ")
    });
    vec![
        ("from", some(&email.from)),
        ("to", some(&email.to)),
        ("cc", some(&email.cc.join(","))),
        ("bcc", some(&email.bcc.join(","))),
        ("subject", subject),
        ("type", email.html.then(|| "text/html".to_owned())),
        ("attach", some(&attach)),
        ("template", email.template.then(|| "true".to_owned())),
    ]
}

fn record_attributes(record: &Record) -> Pairs<'_> {
    let keys = record.finish_on_key.as_str();
    let finish = (keys != Record::DEFAULT_FINISH_ON_KEY).then_some(keys);
    let finish = finish.map(|keys| if keys.is_empty() { "-1" } else { keys });
    let trim = record.trim.map(trim_word);
    let mut pairs = vec![
        ("action", record.action.clone()),
        ("method", unless_post(record.method).map(str::to_owned)),
        (
            "timeout",
            unless(record.timeout_s, Record::DEFAULT_TIMEOUT_S),
        ),
        ("finishOnKey", finish.map(str::to_owned)),
        (
            "maxLength",
            unless(record.max_length_s, Record::DEFAULT_MAX_LENGTH_S),
        ),
        ("playBeep", (!record.play_beep).then(|| "false".to_owned())),
        ("trim", trim.map(str::to_owned)),
    ];
    if let Some(callback) = &record.callback {
        pairs.extend(recording_attributes(callback));
    }
    pairs
}

fn recording_attributes(callback: &RecordingCallback) -> Pairs<'_> {
    let is_default = callback.events == RecordingCallback::DEFAULT_EVENTS;
    let events = callback.events.iter().map(|event| event.as_str());
    let events: Vec<_> = events.collect();
    vec![
        ("recordingStatusCallback", Some(callback.url.clone())),
        (
            "recordingStatusCallbackMethod",
            unless_post(callback.method).map(str::to_owned),
        ),
        (
            "recordingStatusCallbackEvent",
            (!is_default).then(|| events.join(" ")),
        ),
    ]
}

fn call_recording_attributes(recording: &CallRecording) -> Pairs<'_> {
    let (track, channels) = match recording.sides {
        Sides::Apart => (None, None),
        Sides::Mixed => (None, Some("mono".to_owned())),
        Sides::Inbound | Sides::Outbound => (Some(recording.sides.track().to_owned()), None),
    };
    let mut pairs = vec![
        ("name", recording.name.clone()),
        ("track", track),
        ("channels", channels),
        (
            "trim",
            (!recording.trim).then(|| trim_word(recording.trim).to_owned()),
        ),
    ];
    let callback = recording.callback.iter();
    pairs.extend(callback.flat_map(recording_attributes));
    pairs
}

fn transcription_attributes(transcription: &Transcription) -> Pairs<'_> {
    let (inbound, outbound) = &transcription.labels;
    let track = transcription.track;
    let language = &transcription.language;
    let hints = &transcription.hints;
    vec![
        (
            "statusCallbackUrl",
            Some(transcription.status_callback.clone()),
        ),
        (
            "statusCallbackMethod",
            unless_post(transcription.status_callback_method).map(str::to_owned),
        ),
        ("name", transcription.name.clone()),
        (
            "track",
            (track != Track::Both).then(|| track.as_str().to_owned()),
        ),
        ("inboundTrackLabel", inbound.clone()),
        ("outboundTrackLabel", outbound.clone()),
        (
            "partialResults",
            transcription.partial_results.then(|| "true".to_owned()),
        ),
        (
            "languageCode",
            (language != Speech::DEFAULT_LANGUAGE).then(|| language.clone()),
        ),
        ("hints", (!hints.is_empty()).then(|| hints.join(","))),
    ]
}

const fn trim_word(trim: bool) -> &'static str {
    if trim { "trim-silence" } else { "do-not-trim" }
}

fn gather_attributes(gather: &Gather) -> Pairs<'_> {
    let finish = (gather.finish_on_key != Gather::DEFAULT_FINISH_ON_KEY)
        .then(|| gather.finish_on_key.clone());
    let input = match (gather.keys, &gather.speech) {
        (_, None) => None,
        (true, Some(_)) => Some("dtmf speech"),
        (false, Some(_)) => Some("speech"),
    };
    let mut pairs = vec![
        ("input", input.map(str::to_owned)),
        ("action", gather.action.clone()),
        ("method", unless_post(gather.method).map(str::to_owned)),
        (
            "timeout",
            unless(gather.timeout_s, Gather::DEFAULT_TIMEOUT_S),
        ),
        ("finishOnKey", finish),
        ("startInputKey", gather.start_input_key.clone()),
        (
            "numDigits",
            gather.num_digits.map(|count| count.to_string()),
        ),
        (
            "actionOnEmptyResult",
            gather.action_on_empty_result.then(|| "true".to_owned()),
        ),
        (
            "typeAhead",
            (!gather.type_ahead).then(|| "false".to_owned()),
        ),
    ];
    if let Some(speech) = &gather.speech {
        pairs.extend(speech_attributes(speech));
    }
    pairs
}

fn speech_attributes(speech: &Speech) -> Pairs<'_> {
    let language = (speech.language != Speech::DEFAULT_LANGUAGE).then(|| speech.language.clone());
    let hints = (!speech.hints.is_empty()).then(|| speech.hints.join(","));
    let timeout = speech.timeout.map(|timeout| match timeout {
        SpeechTimeout::Auto => "auto".to_owned(),
        SpeechTimeout::Seconds(seconds) => seconds.to_string(),
    });
    vec![
        ("language", language),
        ("hints", hints),
        ("speechTimeout", timeout),
        (
            "partialResultCallback",
            speech.partial_result_callback.clone(),
        ),
        (
            "partialResultCallbackMethod",
            unless_post(speech.partial_result_callback_method).map(str::to_owned),
        ),
    ]
}

fn dial_attributes(dial: &Dial) -> Pairs<'_> {
    let mut pairs = vec![
        ("action", dial.action.clone()),
        ("method", unless_post(dial.method).map(str::to_owned)),
        ("sequential", dial.sequential.then(|| "true".to_owned())),
        ("timeout", unless(dial.timeout_s, Dial::DEFAULT_TIMEOUT_S)),
        (
            "timeLimit",
            unless(dial.time_limit_s, Dial::DEFAULT_TIME_LIMIT_S),
        ),
        ("callerId", dial.caller_id.clone()),
        ("record", dial.record.map(|it| it.mode().to_owned())),
        (
            "recordingTrack",
            dial.record.and_then(|it| unless_both(it.sides.track())),
        ),
        (
            "trim",
            dial.record
                .filter(|it| it.trim)
                .map(|_| "trim-silence".to_owned()),
        ),
        ("referUrl", dial.refer_url.clone()),
        (
            "referMethod",
            unless_post(dial.refer_method).map(str::to_owned),
        ),
        ("dialMusic", dial.dial_music.clone()),
        (
            "ringTone",
            (dial.ring_tone != RingTone::default()).then(|| dial.ring_tone.as_str().to_owned()),
        ),
        (
            "hangupOnStar",
            dial.hangup_on_star.then(|| "true".to_owned()),
        ),
        (
            "answerOnBridge",
            dial.answer_on_bridge.map(|flag| flag.to_string()),
        ),
    ];
    if let Some(callback) = &dial.recording_callback {
        pairs.extend(recording_attributes(callback));
    }
    pairs
}

fn branch_attributes(branch: &Branch) -> Pairs<'_> {
    let events = branch.status_callback_events.as_ref().map(|events| {
        let words: Vec<&str> = events
            .iter()
            .map(|event: &LegEvent| event.as_str())
            .collect();
        words.join(" ")
    });
    let mut pairs = vec![
        ("url", branch.url.clone()),
        ("method", unless_post(branch.method).map(str::to_owned)),
        ("statusCallback", branch.status_callback.clone()),
        (
            "statusCallbackMethod",
            unless_post(branch.status_callback_method).map(str::to_owned),
        ),
        ("statusCallbackEvent", events),
        ("sendDigits", branch.send_digits.clone()),
        ("username", branch.username.clone()),
        ("password", branch.password.clone()),
    ];
    let detection = branch.detection.iter();
    pairs.extend(detection.flat_map(|detection| detection.attributes()));
    pairs
}

fn conference_attributes(conference: &Conference) -> Pairs<'_> {
    let size = conference.max_participants.get();
    let default = Conference::DEFAULT_PARTICIPANTS.get();
    let recording = conference.recording;
    let mut pairs = vec![
        ("muted", conference.muted.then(|| "true".to_owned())),
        (
            "startConferenceOnEnter",
            (!conference.start_on_enter).then(|| "false".to_owned()),
        ),
        (
            "endConferenceOnExit",
            conference.end_on_exit.then(|| "true".to_owned()),
        ),
        ("maxParticipants", unless(size, default)),
        ("participantLabel", conference.label.clone()),
        ("coach", conference.coach.map(|call| call.to_string())),
        ("statusCallback", conference.status_callback.clone()),
        (
            "statusCallbackMethod",
            unless_post(conference.status_callback_method).map(str::to_owned),
        ),
        (
            "statusCallbackEvent",
            conference.status_callback_events.as_ref().map(|events| {
                let words: Vec<&str> = events.iter().map(|event| event.as_str()).collect();
                words.join(" ")
            }),
        ),
        ("beep", conference.beep.word().map(str::to_owned)),
        ("waitUrl", conference.wait.url()),
        (
            "waitMethod",
            unless_post(conference.wait.method()).map(str::to_owned),
        ),
        (
            "record",
            recording.map(|_| ConferenceRecording::MODE.to_owned()),
        ),
        (
            "trim",
            recording
                .and_then(|it| it.trim)
                .map(|trim| trim_word(trim).to_owned()),
        ),
    ];
    if let Some(callback) = &conference.recording_callback {
        pairs.extend(recording_attributes(callback));
    }
    pairs
}

fn queue_attributes(queue: &Queue) -> Pairs<'_> {
    vec![
        ("url", queue.url.clone()),
        ("method", unless_post(queue.method).map(str::to_owned)),
    ]
}

fn enqueue_attributes(enqueue: &Enqueue) -> Pairs<'_> {
    vec![
        ("action", enqueue.action.clone()),
        ("method", unless_post(enqueue.method).map(str::to_owned)),
        (
            "maxQueueSize",
            enqueue.max_size.map(|size| size.to_string()),
        ),
        ("waitUrl", enqueue.wait.url()),
        (
            "waitUrlMethod",
            unless_post(enqueue.wait.method()).map(str::to_owned),
        ),
    ]
}

fn connect_attributes(connect: &Connect) -> Pairs<'_> {
    vec![
        ("action", connect.action.clone()),
        ("method", unless_post(connect.method).map(str::to_owned)),
    ]
}

fn stream_attributes(stream: &Stream) -> Pairs<'_> {
    let track = (stream.track != Track::default()).then(|| stream.track.as_str().to_owned());
    vec![
        ("url", Some(stream.url.clone())),
        ("name", stream.name.clone()),
        ("track", track),
        ("statusCallback", stream.status_callback.clone()),
        (
            "statusCallbackMethod",
            unless_post(stream.status_callback_method).map(str::to_owned),
        ),
    ]
}

fn siprec_attributes(siprec: &Siprec) -> Pairs<'_> {
    let connector = Some(siprec.connector.clone());
    let track = (siprec.track != Track::Both).then(|| siprec.track.as_str().to_owned());
    vec![
        ("name", siprec.name.clone()),
        (
            "connectorName",
            connector.filter(|name| name != Siprec::DEFAULT_CONNECTOR),
        ),
        ("track", track),
        ("statusCallback", siprec.status_callback.clone()),
        (
            "statusCallbackMethod",
            unless_post(siprec.status_callback_method).map(str::to_owned),
        ),
    ]
}

fn relay_attributes(relay: &ConversationRelay) -> Pairs<'_> {
    let default = ConversationRelay::new("");
    let language = |written: &String| (*written != default.tts_language).then(|| written.clone());
    let inputs = |written: Inputs, default: Inputs| {
        (written != default).then(|| written.as_str().to_owned())
    };
    let flag = |on: bool| on.then(|| "true".to_owned());
    let hints = (!relay.hints.is_empty()).then(|| relay.hints.join(","));
    let events = relay.events.names().join(" ");
    let timeout = relay.speech_timeout_ms.map(|ms| ms.to_string());
    vec![
        ("url", Some(relay.url.clone())),
        ("welcomeGreeting", relay.greeting.clone()),
        (
            "welcomeGreetingInterruptible",
            inputs(relay.greeting_interruptible, default.greeting_interruptible),
        ),
        (
            "interruptible",
            inputs(relay.interruptible, default.interruptible),
        ),
        (
            "reportInputDuringAgentSpeech",
            inputs(relay.reported, default.reported),
        ),
        ("preemptible", flag(relay.preemptible)),
        ("dtmfDetection", flag(relay.keys)),
        ("partialPrompts", flag(relay.partial_prompts)),
        ("ttsLanguage", language(&relay.tts_language)),
        (
            "transcriptionLanguage",
            language(&relay.transcription_language),
        ),
        ("voice", unless_man(relay.voice)),
        ("hints", hints),
        ("speechTimeout", timeout),
        ("events", Some(events).filter(|events| !events.is_empty())),
    ]
}

fn unless_man(voice: Voice) -> Option<String> {
    (voice != Voice::default()).then(|| voice.as_str().to_owned())
}

/// The target with its header list.
fn noun_text(noun: &Noun, branch: &Branch) -> String {
    let mut text = branch.target.clone();
    if matches!(noun, Noun::Client(_)) && text.starts_with("client:") {
        text.insert_str(0, "client:"); // A login may look like the optional prefix.
    }
    for (at, (name, value)) in branch.headers.iter().enumerate() {
        text.push(if at == 0 { '?' } else { '&' });
        text.push_str(&percent_encoded(name));
        text.push('=');
        text.push_str(&percent_encoded(value));
    }
    text
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_whitespace() || matches!(c, '%' | '&' | '=' | '?' | '@') {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                encoded.push_str(&format!("%{byte:02X}"));
            }
        } else {
            encoded.push(c);
        }
    }
    encoded
}

fn looping(times: Option<u32>) -> Option<String> {
    match times {
        Some(1) => None,
        Some(times) => Some(times.to_string()),
        None => Some("0".to_owned()),
    }
}

fn unless_both(track: &str) -> Option<String> {
    (track != "both").then(|| track.to_owned())
}

fn unless(value: u32, default: u32) -> Option<String> {
    (value != default).then(|| value.to_string())
}
