//! A call of the API to a client with two phones: at the Twilio base it is one call, whichever of them answers.

use e2e::phone::Setup;
use e2e::server::Options;
use e2e::{Phone, Reply, ports, wait};
use serde_json::Value;

use super::{SOON, Scene};

impl Scene {
    /// Sends a POST to the Twilio base, and returns the call shown.
    fn twilio(&self, path: &str, form: &str) -> anyhow::Result<Value> {
        let rest = self.server.rest();
        let path = format!("/2010-04-01/Accounts/{}/{path}", rest.account());
        let answer = rest.send("POST", &path, Some(form))?;
        anyhow::ensure!(answer.start.contains(" 20"), "{path}: {answer:?}");
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// Has the API call ann, one of whose phones answers; returns the SID, and the phones.
    fn ann_is_called(&self) -> anyhow::Result<(String, Phone, Phone)> {
        self.app.on("/events", Reply::status(200));
        let silent = self.ann(|ann| ann)?;
        let answers = self.ann(Setup::answers)?;
        let form = format!(
            "From=1000&To=client:ann&Twiml=%3CResponse%3E%3CPause%20length%3D%22600%22/%3E%3C/Response%3E\
             &StatusCallback={}&StatusCallbackEvent=initiated+ringing+answered+completed",
            self.app.url("/events")
        );
        let created = self.twilio("Calls.json", &form)?;
        let sid = created["sid"].as_str().unwrap_or_default().to_owned();
        silent.wait_for("CALL_INCOMING")?;
        answers.wait_for("CALL_ESTABLISHED")?;
        silent.wait_for("CALL_CLOSED")?;
        Ok((sid, silent, answers))
    }
}

#[test]
fn a_call_to_two_phones_is_the_one_that_answers() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let (sid, _silent, answers) = scene.ann_is_called()?;
    let rest = scene.server.rest();
    let calls = rest.calls()?;
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert_eq!(
        (&calls[0]["sid"], &calls[0]["status"]),
        (&Value::from(sid.as_str()), &"in-progress".into())
    );
    let ended = scene.twilio(&format!("Calls/{sid}.json"), "Status=completed")?;
    assert_eq!(ended["status"], "completed");
    answers.wait_for("CALL_CLOSED")?;
    let asked = scene.app.wait_for("/events", 4, SOON)?;
    let told: Vec<_> = asked.iter().map(|one| one.param("CallStatus")).collect();
    let statuses = ["initiated", "ringing", "in-progress", "completed"];
    assert_eq!(told, statuses.map(Some));
    assert!(
        asked
            .iter()
            .all(|one| one.param("CallSid") == Some(sid.as_str())),
        "{asked:?}"
    );
    assert_eq!(rest.finished_calls(1, SOON)?.len(), 1);
    Ok(())
}

#[test]
fn a_killed_server_hangs_up_the_phone_that_answered() -> anyhow::Result<()> {
    let address = || Ok::<_, anyhow::Error>(format!("127.0.0.1:{}", ports::lasting()?));
    let options = Options::default()
        .flag("--http", &address()?)
        .flag("--sip", &address()?);
    let mut scene = Scene::on(options.start()?, |kim| kim)?;
    let (sid, _silent, answers) = scene.ann_is_called()?;
    scene.server.kill()?;
    scene.server.start_again()?;
    answers.wait_for("CALL_CLOSED")?;
    let rest = scene.server.rest();
    let ended = wait::until("the end on record", SOON, || {
        let call = rest.get(&format!("Calls/{sid}")).ok()?;
        (call["status"] == "completed").then_some(call)
    })?;
    assert_eq!(ended["reason"], "node-lost");
    assert_eq!(rest.calls()?.len(), 1);
    Ok(())
}
