-- What an application says beside the address of its document. `extra` is JSON.
ALTER TABLE applications ADD COLUMN voice_method TEXT;
ALTER TABLE applications ADD COLUMN voice_fallback_url TEXT;
ALTER TABLE applications ADD COLUMN voice_fallback_method TEXT;
ALTER TABLE applications ADD COLUMN status_callback TEXT;
ALTER TABLE applications ADD COLUMN status_callback_method TEXT;
ALTER TABLE applications ADD COLUMN extra TEXT;
