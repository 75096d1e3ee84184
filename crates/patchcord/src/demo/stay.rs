//! Where to look while the demo's server keeps running.

use super::app::VOICE;
use super::screen::Screen;
use super::{DOMAIN, NAMES, NUMBER, Stage};

/// Prints addresses, logins and commands to try.
pub(super) fn explain(screen: &Screen, stage: &Stage) {
    let Stage {
        data,
        server,
        app,
        rest,
        passwords,
        ..
    } = stage;
    let data = data.path().display();
    let (sip, base, voice) = (server.sip.udp, rest.base(), app.voice_url());
    let (account, token) = (&rest.account, &rest.token);
    let document: String = VOICE.lines().map(str::trim).collect();
    let logins: String = NAMES
        .iter()
        .zip(passwords)
        .map(|(name, password)| format!("  {name:<14}sip:{name}@{DOMAIN}  password {password}\n"))
        .collect();
    let tcp = server.sip.tcp;
    screen.print(&format!(
        "
The server keeps running until Ctrl-C.

  API           {base}
  credentials   {account}  {token}
  SIP           {sip} over UDP, {tcp} over TCP, domain {DOMAIN}
{logins}  number        {NUMBER} -> {voice}
                {document}
  metrics       http://{metrics}/metrics
  data          {data}

Both phones stay registered: each answers a call and plays its tone.

  curl -u {account}:{token} \\
    {base}/Calls.json
  curl -u {account}:{token} \\
    {base}/Calls.json \\
    -d From=1000 -d To=client:alice -d Url={voice}
  patchcord calls list --data {data}
",
        metrics = server.metrics,
    ));
}
