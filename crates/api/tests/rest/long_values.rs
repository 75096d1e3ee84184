//! Long values for each parameter that something is created with: none may be more than the database can
//! take, whichever it is.

use serde_json::Value;
use testkit::random::Random;

use crate::server::Server;

/// More than PostgreSQL takes in a row of an index.
const LONG: usize = 3_500;
/// The least that creates something, by list; `~` differs with each request.
const LISTS: [(&str, &str); 4] = [
    (
        "/Accounts",
        "EmailAddress=a~@a.example&Password=RestComm12&FriendlyName=a",
    ),
    (
        "/Accounts/{account}/Clients",
        "Login=l~&Password=RestComm12&FriendlyName=a",
    ),
    (
        "/Accounts/{account}/IncomingPhoneNumbers",
        "PhoneNumber=9~&isSIP=true",
    ),
    ("/Accounts/{account}/Applications", "FriendlyName=a"),
];

/// The parameters of a route, as documented.
fn parameters(document: &Value, path: &str) -> Vec<String> {
    let form = &document["paths"][path]["post"]["requestBody"]["content"];
    let form = &form["application/x-www-form-urlencoded"]["schema"]["properties"];
    let form = form.as_object().unwrap();
    form.keys().cloned().collect()
}

/// The form with another value of one parameter.
fn with(form: &str, name: &str, value: &str) -> String {
    let others = form
        .split('&')
        .filter(|pair| pair.split('=').next() != Some(name));
    let own = format!("{name}={value}");
    others.chain([&*own]).collect::<Vec<_>>().join("&")
}

async fn every_parameter_takes_a_long_value_or_refuses_it(server: &Server) {
    let mut random = Random(7);
    // PostgreSQL compresses what repeats itself.
    let mut long = |letters: &[u8]| -> String {
        let letter = |_| char::from(letters[random.index(letters.len())]);
        (0..LONG).map(letter).collect()
    };
    let letters = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let values = [
        long(letters),
        long(b"0123456789"),
        format!("a@{}", long(letters)),
        format!("{}@b", long(letters)),
        format!("http://a.example/{}", long(letters)),
    ];
    let mut count = 0;
    for base in ["/restcomm/2012-04-24", "/2010-04-01"] {
        let document = crate::openapi::document(base);
        for (list, form) in LISTS {
            let path = format!("{base}{list}.json");
            let own = path.replace("{account}", &server.admin.to_string());
            for name in parameters(&document, &path) {
                for value in &values {
                    count += 1;
                    let form = form.replace('~', &count.to_string());
                    let form = with(&form, &name, value);
                    let answer = server.post(&server.admin(), &own, &form).await;
                    let expected = answer.status.is_success() || answer.status == 400;
                    let start = &value[..20];
                    assert!(expected, "{path} {name}={start}…: {}", answer.body);
                }
            }
        }
    }
    assert!(count > 200, "{count}");
}

#[tokio::test]
async fn every_parameter_takes_a_long_value_or_refuses_it_with_sqlite() {
    every_parameter_takes_a_long_value_or_refuses_it(&Server::start().await).await;
}

#[cfg(unix)]
#[tokio::test]
async fn every_parameter_takes_a_long_value_or_refuses_it_with_postgresql() {
    let Some((server, _, _postgres)) = Server::two().await else {
        return;
    };
    every_parameter_takes_a_long_value_or_refuses_it(&server).await;
}
