//! Requests that change the same resource at the same time.

use crate::server::Server;

#[tokio::test]
async fn two_that_change_different_properties_at_once_are_both_carried_out() {
    let server = Server::start().await;
    let who = server.admin();
    let account = format!("/Accounts/{}", server.admin);
    let table = [
        ("Clients", "Login=kim&Password=RestComm12"),
        ("IncomingPhoneNumbers", "PhoneNumber=3003&isSIP=true"),
        ("Applications", "FriendlyName=a"),
    ];
    for (list, form) in table {
        let made = server
            .post(&who, &format!("{account}/{list}.json"), form)
            .await;
        let sid = made.json()["sid"].as_str().unwrap().to_owned();
        let one = format!("{account}/{list}/{sid}.json");
        // What an application keeps for the API only is in one column.
        let twilio = format!("/2010-04-01{one}");
        for n in 0..10 {
            let name = format!("FriendlyName=n{n}");
            let url = format!("VoiceUrl=http://a/{n}");
            let sms = format!("SmsUrl=http://s/{n}");
            let fallback = format!("SmsFallbackUrl=http://f/{n}");
            let mut all = vec![(&one, &name), (&one, &url)];
            let stores_sms = list == "Applications";
            if stores_sms {
                all.extend([(&twilio, &sms), (&twilio, &fallback)]);
            }
            let all = all.into_iter().map(|(path, form)| {
                let (server, who) = (&server, &who);
                async move { server.post(who, path, form).await.is(200) }
            });
            futures_util::future::join_all(all).await;
            let shown = server.get(&who, &twilio).await;
            let shown = if shown.status == 200 {
                shown.json()
            } else {
                server.get(&who, &one).await.json()
            };
            assert_eq!(shown["friendly_name"], format!("n{n}"), "{list}");
            assert_eq!(shown["voice_url"], format!("http://a/{n}"), "{list}");
            if stores_sms {
                assert_eq!(shown["sms_url"], format!("http://s/{n}"));
                assert_eq!(shown["sms_fallback_url"], format!("http://f/{n}"));
            }
        }
    }
}
