//! What is written reads back the same.

use rcml::{ConnectNoun, Document, Noun, Prompt, StartNoun, Verb};

const DOCUMENTS: [&str; 23] = [
    "<Response><Say voice='woman' language='pt-br' loop='0'>a &lt; \"b\" &amp; c&#10;d</Say></Response>",
    "<Response><Play loop='2'>http://a/b.wav?x=1&y=2</Play><Play digits='1w2'/></Response>",
    "<Response><Pause length='7'/><Pause/><Reject reason='busy'/><Reject/><Hangup/></Response>",
    "<Response><Redirect method='GET'>a?b=c&d</Redirect><Redirect>x</Redirect></Response>",
    "<Response><Dial timeout='3' timeLimit='9' record='true' action='a' method='GET' callerId='x' \
     dialMusic='m' hangupOnStar='true' answerOnBridge='true' recordingStatusCallback='r' \
     recordingStatusCallbackEvent='completed absent'>client:ann</Dial></Response>",
    "<Response><Dial><Sip username='u' password='p' url='w' method='GET'>sip:z@h;a=b?c=d%26e%20\
     </Sip><Client statusCallback='s' statusCallbackMethod='GET' \
     statusCallbackEvent='ringing,answered'>ann</Client></Dial></Response>",
    "<Response><Dial><Conference muted='true' startConferenceOnEnter='false' \
     endConferenceOnExit='true' maxParticipants='7' waitUrl='/w?a=b' waitMethod='GET' beep='onEnter' participantLabel='Ann B' coach='CA000000000000000000000000000000ab' \
     statusCallback='/s' statusCallbackMethod='GET' statusCallbackEvent='join, leave' record='record-from-start' trim='do-not-trim' \
     recordingStatusCallback='/r' recordingStatusCallbackMethod='GET' recordingStatusCallbackEvent='in-progress'>room</Conference>\
     </Dial><Dial><Conference waitUrl=''>room</Conference></Dial><Fax/><Dial/></Response>",
    "<Response><Dial><Number sendDigits='w1' machineDetection='Enable' \
     machineDetectionTimeout='9' machineDetectionSilenceTimeout='5000' amdStatusCallback='/a?b=c'>+2000</Number>\
     <Sip machineDetection='DetectMessageEnd' amdStatusCallbackMethod='GET'>sip:z@h</Sip><Uri>a?b@h</Uri></Dial></Response>",
    "<Response><Gather action='a' method='GET' timeout='9' finishOnKey='' startInputKey='1*' \
     numDigits='4' actionOnEmptyResult='true'><Say>x</Say><Pause length='2'/><Play>p</Play></Gather>\
     <Gather finishOnKey='*#'/><Gather/></Response>",
    "<Response><Gather input='speech' language='de-DE' hints='yes,no way' speechTimeout='auto' \
     partialResultCallback='/p?a=b' partialResultCallbackMethod='GET'/>\
     <Gather input='speech dtmf' speechTimeout='3'/></Response>",
    "<Response><Sms>x</Sms><Sms to='client:ann' from='My Shop' action='/a' method='GET' \
     statusCallback='s'>two&#10;lines</Sms><Sms to='+1 (555) 0100'>y</Sms><Sms to='ann@h'>z</Sms>\
     <Sms to=''>a</Sms><Sms to='a b'/></Response>",
    "<Response><Email from='a@b' to='Ann &lt;c@d&gt;'>x</Email><Email from='a@b' to='c@d' cc='e@f,G &lt;g@h&gt;' bcc='i@j' \
     subject='two words' type='text/html; charset=utf-8' template='true' \
     attach='recording http://h/Recordings/RE0123456789abcdef0123456789abcdef.wav'>&lt;b&gt;y&lt;/b&gt;</Email>\
     <Email/><Email from='a@b' to='c@d' attach='CA1'/></Response>",
    "<Response><Say>a <break time='2s'/><prosody rate='slow' volume='loud'>b &amp; c</prosody> <p>d</p>\
     <say-as interpret-as='digits'>12</say-as></Say></Response>",
    "<Response><Record/><Record action='a' method='GET' timeout='9' finishOnKey='-1' maxLength='60' \
     playBeep='false' trim='do-not-trim' recordingStatusCallback='r' recordingStatusCallbackMethod='GET' \
     recordingStatusCallbackEvent='absent,in-progress'/><Record finishOnKey='1*' trim='trim-silence' \
     recordingStatusCallback='r'/></Response>",
    "<Response><Connect><Stream url='wss://a/b?c=d&amp;e=f'/></Connect><Connect action='/a' method='GET'>\
     <Stream url='ws://h' name='n' statusCallback='s' statusCallbackMethod='GET'>\
     <Parameter name='a' value='&lt;'/><Parameter name='b'/></Stream></Connect><Start>\
     <Stream url='/a' track='both_tracks'/><Stream url='/b' track='outbound_track'/></Start>\
     <Stop><Stream name='n'/><Stream name='m'/></Stop><Connect/><Start/><Stop/></Response>",
    "<Response><Start><Recording/><Stream url='/a'/><Recording name='n' track='inbound' trim='do-not-trim'/></Start>\
     <Start><Recording channels='mono' recordingStatusCallback='/r' recordingStatusCallbackMethod='GET' \
     recordingStatusCallbackEvent='in-progress absent'/><Recording track='outbound'/></Start>\
     <Stop><Recording name='n'/><Stream name='m'/></Stop></Response>",
    "<Response><Start><Transcription statusCallbackUrl='/t'/><Transcription name='n' track='outbound_track' \
     statusCallbackUrl='/t' statusCallbackMethod='GET' inboundTrackLabel='a' outboundTrackLabel='b' \
     partialResults='true' languageCode='de-DE' hints='x y,z'/></Start><Stop><Transcription name='n'/></Stop></Response>",
    "<Response><Start><Siprec/><Siprec name='n' connectorName='c' track='inbound_track' statusCallback='/s' \
     statusCallbackMethod='GET'><Parameter name='a' value='b'/></Siprec><Siprec track='outbound_track'/></Start>\
     <Stop><Siprec name='n'/></Stop></Response>",
    "<Response><Connect><ConversationRelay url='wss://a/b'/></Connect><Connect action='/a'>\
     <ConversationRelay url='/b' welcomeGreeting='a &quot;b&quot;' welcomeGreetingInterruptible='none' \
     interruptible='dtmf' reportInputDuringAgentSpeech='any' preemptible='true' dtmfDetection='true' \
     partialPrompts='true' language='de-DE' ttsLanguage='en-GB' voice='woman' hints='a b,c' speechTimeout='850' \
     debug='tokens-played' events='speaker-events'>\
     <Language code='fr' voice='woman'/><Parameter name='a' value='1'/><Language code='en-GB'/>\
     </ConversationRelay></Connect></Response>",
    "<Response><Dial record='record-from-answer' ringTone='us-old' sequential='true'>1</Dial><Dial record='record-from-ringing' trim='trim-silence'>1</Dial>\
     <Dial record='record-from-answer-dual'>1</Dial><Dial record='record-from-ringing-dual'>1</Dial>\
     <Dial record='true' recordingTrack='inbound'>1</Dial>\
     <Dial record='record-from-ringing' recordingTrack='outbound'>1</Dial></Response>",
    "<Response><Enqueue>x y</Enqueue><Enqueue action='/a' method='GET' maxQueueSize='3' waitUrl='/w' \
     waitUrlMethod='GET'>q</Enqueue><Enqueue waitUrl=''>q</Enqueue><Leave/><Dial><Queue>q</Queue></Dial>\
     <Dial><Queue url='/g' method='GET'>q</Queue></Dial></Response>",
    "<Response><Refer action='/a' method='GET'><Sip>sip:ann@h;x=y?X-A=1%20%26&amp;User-to-User=5%3Bencoding%3Dhex</Sip></Refer>\
     <Refer><ReferSip>pbx.example</ReferSip></Refer><Refer/><Echo/><Gather typeAhead='false'/></Response>",
    "<Response><Dial>a b c@d</Dial><Dial><Client>client:client:x?a=%E3%80%80</Client></Dial></Response>",
];

#[test]
fn reading_what_was_written_gives_the_same() {
    for xml in DOCUMENTS {
        let first = without_lines(Document::parse(xml).expect(xml).verbs);
        let written = Document {
            verbs: first.clone(),
            ..Document::default()
        }
        .to_xml();
        let second = without_lines(Document::parse(&written).expect(&written).verbs);
        assert_eq!(second, first, "{xml}\n{written}");
    }
}

#[test]
fn writes_readable_documents() {
    let written = Document::parse(DOCUMENTS[5]).expect("well-formed").to_xml();
    let expected = concat!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
        "<Response>\n",
        "  <Dial>\n",
        "    <Sip url=\"w\" method=\"GET\" username=\"u\" password=\"p\">",
        "sip:z@h;a=b?X-c=d%26e%20</Sip>\n",
        "    <Client statusCallback=\"s\" statusCallbackMethod=\"GET\" ",
        "statusCallbackEvent=\"ringing answered\">ann</Client>\n",
        "  </Dial>\n",
        "</Response>\n",
    );
    assert_eq!(written, expected);
}

fn without_lines(mut verbs: Vec<Verb>) -> Vec<Verb> {
    for verb in &mut verbs {
        match verb {
            Verb::Say(verb) => verb.line = 0,
            Verb::Play(verb) => verb.line = 0,
            Verb::Pause(verb) => verb.line = 0,
            Verb::Hangup(verb) => verb.line = 0,
            Verb::Reject(verb) => verb.line = 0,
            Verb::Redirect(verb) => verb.line = 0,
            Verb::Record(verb) => verb.line = 0,
            Verb::Sms(verb) => verb.line = 0,
            Verb::Email(verb) => verb.line = 0,
            Verb::Stop(verb) => verb.line = 0,
            Verb::Enqueue(verb) => verb.line = 0,
            Verb::Leave(verb) => verb.line = 0,
            Verb::Refer(verb) => verb.line = 0,
            Verb::Echo(verb) => verb.line = 0,
            Verb::Connect(verb) => {
                verb.line = 0;
                match &mut verb.noun {
                    Some(ConnectNoun::Stream(stream)) => stream.line = 0,
                    Some(ConnectNoun::Relay(relay)) => relay.line = 0,
                    None => {}
                }
            }
            Verb::Start(verb) => {
                verb.line = 0;
                for noun in &mut verb.nouns {
                    match noun {
                        StartNoun::Stream(stream) => stream.line = 0,
                        StartNoun::Recording(recording) => recording.line = 0,
                        StartNoun::Transcription(transcription) => transcription.line = 0,
                        StartNoun::Siprec(siprec) => siprec.line = 0,
                    }
                }
            }
            Verb::Unsupported(verb) => (verb.line, verb.column) = (0, 0),
            Verb::Gather(gather) => {
                gather.line = 0;
                for prompt in &mut gather.prompts {
                    match prompt {
                        Prompt::Say(say) => say.line = 0,
                        Prompt::Play(play) => play.line = 0,
                        Prompt::Pause(pause) => pause.line = 0,
                    }
                }
            }
            Verb::Dial(dial) => {
                dial.line = 0;
                dial.nouns.iter_mut().for_each(forget_line);
            }
        }
    }
    verbs
}

fn forget_line(noun: &mut Noun) {
    match noun {
        Noun::Number(branch) | Noun::Client(branch) | Noun::Sip(branch) => branch.line = 0,
        Noun::Conference(conference) => conference.line = 0,
        Noun::Queue(queue) => queue.line = 0,
        Noun::Unsupported(noun) => (noun.line, noun.column) = (0, 0),
    }
}
