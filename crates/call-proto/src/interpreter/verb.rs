//! A running verb: a small machine with the methods of [`Running`], on a [`Site`].
//!
//! A verb yields commands and returns a [`Step`] that determines what follows; it never sees the
//! script that holds it. Most verbs need few of the methods: they ignore what they do not wait for.

use model::address::redacted;
use model::{AccountSid, ConferenceSid, HttpMethod, QueueSid, RecordingSid, Timestamp, error};

use super::companion::{Companion, CompanionEnd};
use super::fetching::Fetching;
use super::findings::Told;
use super::refer::ReferNews;
use super::run::Run;
use crate::callback::CallbackTarget;
use crate::command::{MediaCommand, Sound};
use crate::context::{About, Context};
use crate::event::{
    AudioFailure, Clip, ParticipantChange, PlayId, Req, Route, SpeechNews, Unreachable,
};
use crate::fact::Reason;
use crate::leg::Leg;
use crate::letter::{Ended, ForkId, ForkNews};
use crate::membership::RoomEvent;
use crate::message::Messages;
use crate::params::Params;
use crate::queueing::QueueEvent;
use crate::recording::{RecordingNews, Recordings};
use crate::relay_news::RelayNews;
use crate::relays::Relays;
use crate::streams::{StreamEnd, Streams};
use crate::transcripts::Transcripts;

/// What follows a verb's action.
pub(super) enum Step {
    /// The verb waits.
    Wait,
    /// A verb has started and waits.
    Run(Box<dyn Running>),
    /// The next verb can start.
    Next,
    /// Another document was requested and takes over.
    Fetch(Box<Fetching>),
    /// The script has ended.
    End,
}

/// The parts of a call that its scripts work on.
pub(crate) struct Host<'a> {
    pub(crate) leg: &'a mut Leg,
    pub(crate) told: &'a mut Told,
    pub(crate) messages: &'a mut Messages,
    pub(crate) recordings: &'a mut Recordings,
    pub(crate) streams: &'a mut Streams,
    pub(crate) relays: &'a mut Relays,
    pub(crate) transcripts: &'a mut Transcripts,
}

/// The same but for what was reported so far, which is the scripts' own.
pub(crate) struct Parts<'a> {
    pub(crate) leg: &'a mut Leg,
    pub(crate) messages: &'a mut Messages,
    pub(crate) recordings: &'a mut Recordings,
    pub(crate) streams: &'a mut Streams,
    pub(crate) relays: &'a mut Relays,
    pub(crate) transcripts: &'a mut Transcripts,
}

impl Parts<'_> {
    pub(super) fn host<'a>(&'a mut self, told: &'a mut Told) -> Host<'a> {
        Host {
            leg: self.leg,
            told,
            messages: self.messages,
            recordings: self.recordings,
            streams: self.streams,
            relays: self.relays,
            transcripts: self.transcripts,
        }
    }
}

impl Host<'_> {
    /// Adds the document of one script.
    pub(super) fn site<'a>(&'a mut self, run: &'a mut Run) -> Site<'a> {
        Site {
            run,
            leg: self.leg,
            told: self.told,
            messages: self.messages,
            recordings: self.recordings,
            streams: self.streams,
            relays: self.relays,
            transcripts: self.transcripts,
        }
    }
}

/// Where a verb runs: its document and the parts of the call.
pub(super) struct Site<'a> {
    pub(super) run: &'a mut Run,
    pub(super) leg: &'a mut Leg,
    pub(super) told: &'a mut Told,
    pub(super) messages: &'a mut Messages,
    pub(super) recordings: &'a mut Recordings,
    pub(super) streams: &'a mut Streams,
    pub(super) relays: &'a mut Relays,
    pub(super) transcripts: &'a mut Transcripts,
}

/// A verb that has started.
pub(super) trait Running: Send {
    fn poll_timeout(&self) -> Option<Timestamp> {
        None
    }

    fn handle_timeout(&mut self, _site: &mut Site<'_>, _cx: &mut Context) -> Step {
        Step::Wait
    }

    /// A sound or spoken text is ready, or failed.
    fn audio(
        &mut self,
        _req: Req,
        _result: &Result<Clip, AudioFailure>,
        _site: &mut Site<'_>,
        _cx: &mut Context,
    ) -> Step {
        Step::Wait
    }

    /// A request other than for the next document was answered.
    fn answered(&mut self, _req: Req, _site: &mut Site<'_>, _cx: &mut Context) -> Step {
        Step::Wait
    }

    /// A play-out has reached its end.
    fn played(&mut self, _play: PlayId, _site: &mut Site<'_>, _cx: &mut Context) -> Step {
        Step::Wait
    }

    /// The remote party pressed a key.
    fn key(&mut self, _key: char, _site: &mut Site<'_>, _cx: &mut Context) -> Step {
        Step::Wait
    }

    /// News from the recognizer.
    fn speech(
        &mut self,
        _req: Req,
        _news: &SpeechNews,
        _site: &mut Site<'_>,
        _cx: &mut Context,
    ) -> Step {
        Step::Wait
    }

    /// Targets were looked up.
    fn routes(
        &mut self,
        _req: Req,
        _found: &[Result<Vec<Route>, Unreachable>],
        _site: &mut Site<'_>,
        _cx: &mut Context,
    ) -> Step {
        Step::Wait
    }

    /// News of a REFER that was sent on the leg.
    fn referral(&mut self, _news: ReferNews, _site: &mut Site<'_>, _cx: &mut Context) -> Step {
        Step::Wait
    }

    /// A text message has been sent, or failed.
    fn message_left(&mut self, _req: Req, _site: &mut Site<'_>, _cx: &mut Context) -> Step {
        Step::Wait
    }

    /// The fork whose end the verb waits for.
    fn awaited_fork(&self) -> Option<ForkId> {
        None
    }

    /// News of the fork that the verb waits for.
    fn fork(&mut self, _news: &ForkNews, _site: &mut Site<'_>, _cx: &mut Context) -> Step {
        Step::Wait
    }

    /// The bridge of the leg has ended.
    fn bridge_over(&mut self, _ended: Ended, _site: &mut Site<'_>, _cx: &mut Context) -> Step {
        Step::Wait
    }

    /// A report from the verb's room.
    fn room(
        &mut self,
        _req: Req,
        _event: RoomEvent,
        _site: &mut Site<'_>,
        _cx: &mut Context,
    ) -> Step {
        Step::Wait
    }

    /// A report from the verb's queue.
    fn queue(
        &mut self,
        _req: Req,
        _event: &QueueEvent,
        _site: &mut Site<'_>,
        _cx: &mut Context,
    ) -> Step {
        Step::Wait
    }

    /// A stream whose server may send audio has begun, with this play-out.
    fn stream_began(&mut self, _req: Req, _play: PlayId, _site: &mut Site<'_>, _cx: &mut Context) {}

    /// A stream of the leg has ended.
    fn stream_over(
        &mut self,
        _req: Req,
        _end: &StreamEnd,
        _site: &mut Site<'_>,
        _cx: &mut Context,
    ) -> Step {
        Step::Wait
    }

    /// News of the connection of a conversation.
    fn relay_news(
        &mut self,
        _req: Req,
        _news: &RelayNews,
        _site: &mut Site<'_>,
        _cx: &mut Context,
    ) -> Step {
        Step::Wait
    }

    /// News of a recording of the leg.
    fn recording(
        &mut self,
        _sid: RecordingSid,
        _news: RecordingNews,
        _site: &mut Site<'_>,
        _cx: &mut Context,
    ) -> Step {
        Step::Wait
    }

    /// A sound of the API interrupts what the leg hears, or has ended.
    fn interrupted(&mut self, _on: bool, _cx: &mut Context) -> Step {
        Step::Wait
    }

    /// The leg is up.
    fn leg_is_up(&mut self, _site: &mut Site<'_>, _cx: &mut Context) -> Step {
        Step::Wait
    }

    /// The leg has ended, and with it the verb's play-out: the verb has ended, unless it returns
    /// otherwise.
    fn leg_is_over(&mut self, _reason: Reason, _site: &mut Site<'_>, _cx: &mut Context) -> Step {
        Step::Next
    }

    /// The verb's current play-out.
    fn playing(&self) -> Option<PlayId> {
        None
    }

    /// The script that the party hears while the verb waits: it runs above the verb's own for as
    /// long as the verb returns it. One that ends by itself is not started again.
    fn companion(&self) -> Option<&Companion> {
        None
    }

    /// Its companion has ended by itself.
    fn companion_over(
        &mut self,
        _id: Req,
        _end: CompanionEnd,
        _site: &mut Site<'_>,
        _cx: &mut Context,
    ) -> Step {
        Step::Wait
    }

    /// The conference that the leg is in because of the verb.
    fn conference(&self) -> Option<ConferenceSid> {
        None
    }

    /// The queue in which the leg waits because of the verb.
    fn waits_in(&self) -> Option<QueueSid> {
        None
    }

    /// The API changes the leg's part in a conference.
    fn change_participant(
        &mut self,
        _change: &ParticipantChange,
        _site: &mut Site<'_>,
        _cx: &mut Context,
    ) -> Step {
        Step::Wait
    }

    /// Whether keys concern the verb, so that they do not reach the script below a companion.
    fn takes_keys(&self) -> bool {
        false
    }

    /// Whether keys wait for the next `<Gather>` while the verb runs.
    fn keeps_keys(&self) -> bool {
        false
    }

    /// Whether an unanswered caller hears ringing because of the verb.
    fn lets_it_ring(&self) -> bool {
        false
    }

    /// Another script takes over the leg: nothing of this verb may continue. Its play-out has been
    /// stopped.
    fn detach(&mut self, _site: &mut Site<'_>, _cx: &mut Context) {}
}

impl Site<'_> {
    /// An absolute HTTP or HTTPS address from one in a document; `None` if impossible. The
    /// account's owner is notified, unless that was found when the document was read.
    pub(super) fn address(&mut self, written: &str, cx: &mut Context) -> Option<String> {
        let url = self.run.resolve(written);
        if url.is_none() {
            let fault = rcml::url_fault(written);
            self.invalid_address(written, fault, "http", cx);
        }
        url
    }

    /// An absolute WebSocket address from one in a document; as [`Site::address`].
    pub(super) fn stream_address(&mut self, written: &str, cx: &mut Context) -> Option<String> {
        let url = self.run.resolve_socket(written);
        if url.is_none() {
            let fault = rcml::socket_fault(written);
            self.invalid_address(written, fault, "ws or wss", cx);
        }
        url
    }

    fn invalid_address(&self, written: &str, fault: Option<&str>, kind: &str, cx: &mut Context) {
        let was_found = self.run.url().is_some() && fault.is_some();
        if !(was_found && self.told.is_complete()) {
            let text = format!("`{}` is not a valid {kind} address", redacted(written));
            cx.notify(self.leg.profile.about(None), error::BAD_URI, &text);
        }
    }

    /// Who learns of a recording; `None` if the address cannot be used.
    pub(super) fn recording_callback(
        &mut self,
        callback: &rcml::RecordingCallback,
        cx: &mut Context,
    ) -> Option<(CallbackTarget, Vec<rcml::RecordingEvent>)> {
        let target = CallbackTarget {
            url: self.address(&callback.url, cx)?,
            method: callback.method,
            author: self.author(),
        };
        Some((target, callback.events.clone()))
    }

    /// A verb has an unusable address: the script stops.
    pub(super) fn bad_address(&mut self, cx: &mut Context) -> Step {
        self.fail("address is not valid", Reason::DocumentFetch, cx)
    }

    /// A sound or spoken text is not available.
    ///
    /// - `line`: of the verb, if it is to be named.
    ///
    /// # Errors
    /// The step that follows if this ends the leg.
    pub(super) fn no_audio(
        &mut self,
        line: Option<u32>,
        verb: &str,
        failure: &AudioFailure,
        cx: &mut Context,
    ) -> Result<(), Step> {
        let text = format!("{verb}: {}", failure.text);
        let is_waiting = self.run.role.is_companion();
        self.run.failed = true;
        if !is_waiting || self.told.is_first(&text) {
            let about = match line {
                Some(line) => self.about_line(line),
                None => self.leg.profile.about(None),
            };
            cx.notify(about, failure.code, &text);
        }
        if is_waiting || !self.leg.profile.dialect.play_failure_ends_call {
            return Ok(());
        }
        Err(self.fail(&format!("{verb} failed"), Reason::AudioFailed, cx))
    }

    /// The script cannot continue. A leg ends with it, unless it only waits.
    fn fail(&mut self, text: &str, reason: Reason, cx: &mut Context) -> Step {
        self.run.abandon();
        self.run.failed = true;
        if !self.run.role.is_companion() {
            self.leg.fail(500, text, reason, cx);
        }
        Step::End
    }

    /// Account whose rights apply to the addresses of the current document.
    pub(super) fn author(&self) -> AccountSid {
        self.run.author
    }

    /// Refers to a line of the current document.
    pub(super) fn about_line(&self, line: u32) -> About<'_> {
        About {
            line: (line > 0).then_some(line),
            ..self.leg.profile.about(self.run.url())
        }
    }

    /// The parameters of a request to an application.
    pub(super) fn voice_params(&self, cx: &Context) -> Params {
        let mut params = self.leg.voice_params(cx);
        params.extend(self.run.params.iter().cloned());
        params
    }

    /// Plays a sound on the leg.
    pub(super) fn play(&self, sound: Sound, times: Option<u32>, cx: &mut Context) -> PlayId {
        let play = cx.play_id();
        let command = MediaCommand::Play { play, sound, times };
        cx.media(self.leg.profile.sid, command);
        play
    }

    /// Stops the current play-out.
    pub(super) fn stop(&self, play: Option<PlayId>, cx: &mut Context) {
        if let Some(play) = play {
            cx.media(self.leg.profile.sid, MediaCommand::StopPlay { play });
        }
    }

    /// Requests the document that follows.
    pub(super) fn fetch(
        &self,
        url: String,
        method: HttpMethod,
        params: Params,
        cx: &mut Context,
    ) -> Step {
        let who = self.leg.profile.about(None);
        Step::Fetch(Box::new(Fetching::follow_up(
            url,
            method,
            (params, self.run.queue),
            self.author(),
            who,
            cx,
        )))
    }

    /// Requests the document of an action: that follows now, unless documents lead to each other endlessly.
    ///
    /// - `more`: parameters besides the usual ones.
    pub(super) fn act(
        &mut self,
        url: String,
        method: HttpMethod,
        more: impl IntoIterator<Item = (String, String)>,
        cx: &mut Context,
    ) -> Step {
        if self.count_redirect(cx) {
            return self.redirect_loop(&url, cx);
        }
        let mut params = self.voice_params(cx);
        params.extend(more);
        self.fetch(url, method, params, cx)
    }

    /// Counts a document that follows another; true if too many in a row took no time.
    pub(super) fn count_redirect(&mut self, cx: &Context) -> bool {
        let endless = self.leg.is_over();
        self.run.count_redirect(endless, cx.now) > cx.settings.max_redirects
    }

    /// Documents lead to each other endlessly: the script stops.
    pub(super) fn redirect_loop(&mut self, url: &str, cx: &mut Context) -> Step {
        let text = format!(
            "documents redirect in a loop; the last was {}",
            redacted(url)
        );
        let about = self.leg.profile.about(Some(url));
        cx.notify(about, error::TOO_MANY_REDIRECTS, &text);
        self.fail("redirect loop", Reason::RedirectLoop, cx)
    }
}
