-- Who ended a leg, what the far side said about it, and the counters of its media as JSON.
ALTER TABLE calls ADD COLUMN hangup_by TEXT;
ALTER TABLE calls ADD COLUMN sip_reason TEXT;
ALTER TABLE calls ADD COLUMN media TEXT;
