//! `/Accounts/{sid}/AuthTokens`.

use crate::server::Server;

#[tokio::test]
async fn tokens_are_changed_without_a_gap() {
    let server = Server::start().await;
    let sid = server.account("lyra", server.admin).await.to_string();
    let with = |token: &str| (sid.clone(), token.to_owned());
    let old = with("token-lyra");
    let account = format!("/Accounts/{sid}.json");
    let secondary = format!("/Accounts/{sid}/AuthTokens/Secondary.json");
    let promote = format!("/Accounts/{sid}/AuthTokens/Promote.json");
    assert_eq!(server.post(&old, &promote, "").await.status, 404);
    assert_eq!(server.delete(&old, &secondary).await.status, 404);
    assert_eq!(server.get(&old, &secondary).await.status, 405);

    let made = server.post(&old, &secondary, "").await.json();
    let token = made["secondary_auth_token"].as_str().unwrap().to_owned();
    assert_eq!(
        (made["auth_token"].as_str(), token.len()),
        (Some("token-lyra"), 32)
    );
    let new = with(&token);
    assert_eq!(server.post(&old, &secondary, "").await.status, 409);
    let shown = server.get(&new, &account).await.json();
    assert_eq!(shown["auth_token"], "token-lyra", "the first still leads");

    let promoted = server.post(&new, &promote, "").await.json();
    assert_eq!(promoted["auth_token"], token.as_str());
    assert_eq!(promoted["secondary_auth_token"], "token-lyra");
    for who in [&old, &new] {
        assert_eq!(server.get(who, &account).await.status, 200);
    }
    assert_eq!(server.delete(&new, &secondary).await.status, 204);
    assert_eq!(server.get(&old, &account).await.status, 401);
    assert_eq!(
        server.get(&new, &account).await.json()["auth_token"],
        token.as_str()
    );

    // Only accounts above may access it.
    let stranger = server.account("stranger", server.admin).await;
    let stranger = (stranger.to_string(), "token-stranger".to_owned());
    assert_eq!(server.post(&stranger, &secondary, "").await.status, 403);
    assert_eq!(
        server.post(&server.admin(), &secondary, "").await.status,
        200
    );
}
