-- The digests of a client's password under the key of the server: they are as good as the password.
-- `ha1_md5` and `ha1_sha256` are empty in rows that have it; the start of the server seals the others.
ALTER TABLE clients ADD COLUMN ha1 {{blob}};
