//! Conversations in text: messages between a family and WebSocket servers.
//!
//! What the messages mean is decided by the family. **Invariant: every connection that is opened reports
//! its end once, and a server that does not read or write delays nothing but its own connection.**

use std::collections::HashMap;
use std::time::Duration;

use call_proto::{
    AgentManner, AgentText, FromAgent, Inputs, RelayNews, RelaySetup, Req, Speaker, ToAgent,
};
use futures_util::{SinkExt as _, StreamExt as _};
use stream_proto::{
    Pulse, RelayIncoming, RelayManner, RelayOutgoing, RelayPace, RelayPulse, read_relay,
};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use webhook::tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use webhook::tokio_tungstenite::tungstenite::{self, Message};
use webhook::{SocketError, WebSocket};

/// How long a server may take to accept a message.
const SENT_WITHIN: Duration = Duration::from_secs(10);
/// How long a server may take to close the connection.
const GOODBYE: Duration = Duration::from_secs(2);

/// The conversations of a family.
#[derive(Default)]
pub(crate) struct Relays(HashMap<Req, UnboundedSender<Instruction>>);

/// An instruction to the task of a conversation.
enum Instruction {
    Send(String),
    Close,
}

impl Relays {
    /// Connects, in a job of its own.
    ///
    /// - `opening`: makes the connection
    /// - `tell`: called with each event of the conversation
    pub(crate) fn open(
        &mut self,
        req: Req,
        opening: impl Future<Output = Result<WebSocket, SocketError>> + Send + 'static,
        tell: impl Fn(RelayNews) + Send + Sync + 'static,
        jobs: &mut JoinSet<()>,
    ) {
        let (sender, instructions) = mpsc::unbounded_channel();
        self.0.retain(|_, known| !known.is_closed());
        self.0.insert(req, sender);
        jobs.spawn(async move {
            let failure = run(opening, instructions, &tell).await.err();
            tell(RelayNews::Over(failure));
        });
    }

    pub(crate) fn send(&self, req: Req, message: &ToAgent) {
        self.tell(req, Instruction::Send(written(message)));
    }

    pub(crate) fn close(&self, req: Req) {
        self.tell(req, Instruction::Close);
    }

    fn tell(&self, req: Req, instruction: Instruction) {
        if let Some(known) = self.0.get(&req) {
            // Its task may have ended; the family learns of that from its last news.
            let _ = known.send(instruction);
        }
    }
}

/// Runs a conversation to its end.
///
/// # Errors
/// Why it ended unasked.
async fn run(
    opening: impl Future<Output = Result<WebSocket, SocketError>>,
    mut instructions: UnboundedReceiver<Instruction>,
    tell: &(impl Fn(RelayNews) + Sync),
) -> Result<(), String> {
    let opened = tokio::select! {
        opened = opening => opened,
        // It is closed before there is a connection; nothing else can come.
        _ = instructions.recv() => return Ok(()),
    };
    let socket = opened.map_err(|error| error.text)?;
    tell(RelayNews::Connected);
    let line = Line {
        socket,
        started: Instant::now(),
        pulse: RelayPulse::new(),
        pace: RelayPace::new(),
        reads_at: None,
    };
    line.run(instructions, tell).await
}

/// The connection of a conversation.
struct Line {
    socket: WebSocket,
    started: Instant,
    pulse: RelayPulse,
    pace: RelayPace,
    /// When the next message may be read, unless at once.
    reads_at: Option<Duration>,
}

impl Line {
    async fn run(
        mut self,
        mut instructions: UnboundedReceiver<Instruction>,
        tell: &(impl Fn(RelayNews) + Sync),
    ) -> Result<(), String> {
        loop {
            let pulse = self.pulse.poll_timeout();
            let wake = self.reads_at.map_or(pulse, |reads| reads.min(pulse));
            tokio::select! {
                instruction = instructions.recv() => match instruction {
                    Some(Instruction::Send(text)) => self.send(Message::text(text)).await?,
                    Some(Instruction::Close) | None => {
                        self.say_goodbye().await;
                        return Ok(());
                    }
                },
                message = self.socket.next(), if self.reads_at.is_none() => {
                    self.received(message, tell).await?;
                }
                () = sleep_until(self.started + wake) => self.wakes().await?,
            }
        }
    }

    async fn wakes(&mut self) -> Result<(), String> {
        let now = self.started.elapsed();
        self.reads_at.take_if(|reads| *reads <= now);
        match self.pulse.handle_timeout(now) {
            Some(Pulse::Ping) => self.send(Message::Ping(Vec::new().into())).await,
            Some(Pulse::Broken) => Err("nothing came from the server for a minute".to_owned()),
            None => Ok(()),
        }
    }

    async fn received(
        &mut self,
        message: Option<Result<Message, tungstenite::Error>>,
        tell: &(impl Fn(RelayNews) + Sync),
    ) -> Result<(), String> {
        let now = self.started.elapsed();
        self.pulse.heard(now);
        let news = match message {
            Some(Ok(Message::Text(text))) => match read_relay(text.as_str()) {
                Ok(message) => RelayNews::Message(read(message)),
                Err(fault) => RelayNews::Strange(fault),
            },
            Some(Ok(Message::Binary(_))) => RelayNews::Strange("a binary message".to_owned()),
            Some(Ok(Message::Ping(_))) => {
                let flushed = timeout(SENT_WITHIN, self.socket.flush()).await;
                return sent(flushed);
            }
            Some(Ok(Message::Pong(_) | Message::Frame(_))) => return Ok(()),
            Some(Ok(Message::Close(frame))) => {
                // Its answer (RFC 6455 §5.5.1) still waits; the conversation is over in any case.
                let _ = timeout(GOODBYE, self.socket.flush()).await;
                let code = frame.map_or(CloseCode::Status, |frame| frame.code);
                return Err(closed_with(code));
            }
            Some(Err(error)) => return Err(format!("the connection broke: {error}")),
            None => return Err(closed_with(CloseCode::Status)),
        };
        self.reads_at = self.pace.read(now);
        tell(news);
        Ok(())
    }

    async fn send(&mut self, message: Message) -> Result<(), String> {
        sent(timeout(SENT_WITHIN, self.socket.send(message)).await)
    }

    /// Closes the connection.
    async fn say_goodbye(&mut self) {
        let goodbye = async {
            self.socket.close(None).await?;
            while let Some(message) = self.socket.next().await {
                if let Message::Close(_) = message? {
                    break;
                }
            }
            Ok::<(), tungstenite::Error>(())
        };
        // The conversation is over, whatever the server does.
        let _ = timeout(GOODBYE, goodbye).await;
    }
}

fn sent<E>(sent: Result<Result<(), tungstenite::Error>, E>) -> Result<(), String> {
    match sent {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("the connection broke: {error}")),
        Err(_) => Err("the server does not read".to_owned()),
    }
}

fn closed_with(code: CloseCode) -> String {
    let text = "the server closed the connection";
    match code {
        CloseCode::Normal | CloseCode::Away | CloseCode::Status => text.to_owned(),
        code => format!("{text} with status {}", u16::from(code)),
    }
}

fn read(message: RelayIncoming) -> FromAgent {
    match message {
        RelayIncoming::Text {
            token,
            last,
            lang,
            manner,
        } => FromAgent::Text(AgentText {
            token,
            last,
            language: lang,
            manner: read_manner(&manner),
        }),
        RelayIncoming::Play {
            source,
            times,
            manner,
        } => FromAgent::Play {
            source,
            times,
            manner: read_manner(&manner),
        },
        RelayIncoming::SendDigits { digits } => FromAgent::SendDigits { digits },
        RelayIncoming::Language { tts, transcription } => {
            FromAgent::Language { tts, transcription }
        }
        RelayIncoming::End { handoff } => FromAgent::End { handoff },
    }
}

fn read_manner(manner: &RelayManner) -> AgentManner {
    AgentManner {
        interruptible: manner.interruptible.and_then(Inputs::named),
        preemptible: manner.preemptible,
    }
}

fn written(message: &ToAgent) -> String {
    match message {
        ToAgent::Setup(setup) => setup_text(setup),
        ToAgent::Prompt {
            text,
            language,
            last,
        } => RelayOutgoing::Prompt {
            voice_prompt: text,
            lang: language,
            last: *last,
        }
        .to_text(),
        ToAgent::Dtmf { digit } => RelayOutgoing::Dtmf { digit: *digit }.to_text(),
        ToAgent::Interrupt { utterance, after } => RelayOutgoing::Interrupt {
            utterance_until_interrupt: utterance,
            duration_until_interrupt_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
        }
        .to_text(),
        ToAgent::Speaking { who, on, at } => RelayOutgoing::Info {
            name: match who {
                Speaker::Agent => "agentSpeaking",
                Speaker::Client => "clientSpeaking",
            },
            value: if *on { "on" } else { "off" },
            ts: u64::try_from(at.as_millis()).ok(),
        }
        .to_text(),
        ToAgent::Played { text } => RelayOutgoing::Info {
            name: "tokensPlayed",
            value: text,
            ts: None,
        }
        .to_text(),
        ToAgent::Error { description } => RelayOutgoing::Error { description }.to_text(),
    }
}

fn setup_text(setup: &RelaySetup) -> String {
    let parent = setup.parent.map(|parent| parent.to_string());
    let parameters = setup.parameters.iter();
    let parameters = parameters.map(|(name, value)| (name.clone(), value.clone().into()));
    RelayOutgoing::Setup {
        session_id: setup.session,
        account_sid: setup.account,
        parent_call_sid: parent.unwrap_or_default(),
        call_sid: setup.call,
        from: &setup.from,
        to: &setup.to,
        forwarded_from: setup.forwarded_from.as_deref().unwrap_or_default(),
        call_type: "SIP",
        caller_name: setup.caller_name.as_deref().unwrap_or_default(),
        direction: &setup.direction,
        call_status: &setup.status,
        custom_parameters: parameters.collect(),
    }
    .to_text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::tests::connected;
    use model::error;

    const REQ: Req = Req(1);

    /// A conversation over a connection, and its news.
    struct Stage {
        relays: Relays,
        news: UnboundedReceiver<RelayNews>,
        jobs: JoinSet<()>,
    }

    impl Stage {
        fn open(opened: Result<WebSocket, SocketError>) -> Self {
            let (sender, news) = mpsc::unbounded_channel();
            let (mut relays, mut jobs) = (Relays::default(), JoinSet::new());
            let tell = move |news| {
                let _ = sender.send(news);
            };
            relays.open(REQ, async { opened }, tell, &mut jobs);
            Self { relays, news, jobs }
        }

        async fn news(&mut self) -> RelayNews {
            self.news.recv().await.unwrap()
        }

        /// The job has ended, and nothing was reported after its end.
        async fn ends(mut self) {
            self.jobs.join_next().await.unwrap().unwrap();
            assert_eq!(self.news.recv().await, None);
        }
    }

    #[tokio::test]
    async fn messages_pass_in_order_until_it_is_closed() {
        let (client, mut server) = connected().await;
        let mut stage = Stage::open(Ok(client));
        assert_eq!(stage.news().await, RelayNews::Connected);
        for text in [r#"{"type":"text","token":"a"}"#, "hello"] {
            server.send(Message::text(text)).await.unwrap();
        }
        server.send(Message::Ping(vec![1].into())).await.unwrap();
        server.send(Message::binary(vec![0])).await.unwrap();
        let said = AgentText {
            token: "a".to_owned(),
            ..AgentText::default()
        };
        let said = RelayNews::Message(FromAgent::Text(said));
        assert_eq!(stage.news().await, said);
        let fault = "not a message in JSON (line 1, column 1)".to_owned();
        assert_eq!(stage.news().await, RelayNews::Strange(fault));
        let fault = "a binary message".to_owned();
        assert_eq!(stage.news().await, RelayNews::Strange(fault));
        stage.relays.send(REQ, &ToAgent::Dtmf { digit: '5' });
        stage.relays.close(REQ);
        let mut seen = Vec::new();
        while let Some(Ok(message)) = server.next().await {
            seen.push(message);
        }
        let [Message::Pong(_), Message::Text(key), Message::Close(_)] = &seen[..] else {
            panic!("{seen:?}");
        };
        assert_eq!(key.as_str(), r#"{"type":"dtmf","digit":"5"}"#);
        assert_eq!(stage.news().await, RelayNews::Over(None));
        stage.ends().await;
    }

    #[tokio::test]
    async fn what_the_server_does_is_reported() {
        let (client, mut server) = connected().await;
        let mut stage = Stage::open(Ok(client));
        assert_eq!(stage.news().await, RelayNews::Connected);
        server.close(None).await.unwrap();
        let why = "the server closed the connection".to_owned();
        assert_eq!(stage.news().await, RelayNews::Over(Some(why)));
        stage.ends().await;

        let (client, server) = connected().await;
        let mut stage = Stage::open(Ok(client));
        assert_eq!(stage.news().await, RelayNews::Connected);
        drop(server);
        let RelayNews::Over(Some(why)) = stage.news().await else {
            panic!("it is not over");
        };
        assert!(why.starts_with("the connection broke: "), "{why}");
        stage.ends().await;

        let refused = SocketError {
            code: error::STREAM_REFUSED,
            text: "nothing is there".to_owned(),
        };
        let mut stage = Stage::open(Err(refused));
        let why = Some("nothing is there".to_owned());
        assert_eq!(stage.news().await, RelayNews::Over(why));
        stage.ends().await;
    }

    #[tokio::test]
    async fn it_can_be_closed_before_there_is_a_connection() {
        let (sender, mut news) = mpsc::unbounded_channel();
        let (mut relays, mut jobs) = (Relays::default(), JoinSet::new());
        let tell = move |news| {
            let _ = sender.send(news);
        };
        let never = std::future::pending::<Result<WebSocket, SocketError>>();
        relays.open(REQ, never, tell, &mut jobs);
        relays.close(REQ);
        assert_eq!(news.recv().await, Some(RelayNews::Over(None)));
        assert_eq!(news.recv().await, None);
    }
}
