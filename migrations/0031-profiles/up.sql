-- What accounts may do, and which account or organization each applies to. `target` is its SID.
CREATE TABLE profiles (
    sid TEXT PRIMARY KEY,
    document TEXT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE INDEX profiles_created ON profiles (created, sid);
CREATE TABLE profile_links (
    target TEXT PRIMARY KEY,
    profile TEXT NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX profile_links_profile ON profile_links (profile, created, target);
