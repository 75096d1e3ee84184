-- The dialect in which a document runs: that of the base path of the API at which its address was written.
ALTER TABLE clients ADD COLUMN voice_dialect TEXT NOT NULL DEFAULT 'restcomm';
ALTER TABLE numbers ADD COLUMN voice_dialect TEXT NOT NULL DEFAULT 'restcomm';
ALTER TABLE applications ADD COLUMN dialect TEXT NOT NULL DEFAULT 'restcomm';
