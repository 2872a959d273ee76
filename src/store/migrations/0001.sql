-- The dmarcdb database: the whole schema, as a document.
--
-- This is what a new file gets, and what the numbered migrations in src/store/migrations.rs lead an old file to; a test
-- compares the two. The views at the end are the contract: their names and columns are stable. The tables are not, but
-- they are meant to be read, also by the SQLite 3.37 and newer that systems ship: nothing younger is used here. Times are seconds
-- since the epoch, UTC, and end in `_at`. Addresses are canonical text: IPv4 dotted, IPv6 as RFC 5952, IPv4-mapped IPv6 as IPv4.
-- Texts that repeat are stored once, in `text`. Words that a column may hold are checked with OR: for IN with three or more, SQLite
-- makes a table in memory at every insert.

-- ---------------------------------------------------------------- shared words

-- Strings that repeat: domains, selectors, organisation names, explanations.
CREATE TABLE text (
  id    INTEGER PRIMARY KEY,
  value TEXT NOT NULL UNIQUE             -- as normalized by the reader that stored it
) STRICT;

-- Sending addresses.
CREATE TABLE address (
  id INTEGER PRIMARY KEY,
  ip TEXT NOT NULL UNIQUE,               -- canonical text
  first_at INTEGER,                      -- end of the first period in which a counted report told of it; stays when that report goes
  -- Kept with the daily sums:
  records  INTEGER NOT NULL DEFAULT 0,   -- records of counted reports that tell of it
  records_failed INTEGER NOT NULL DEFAULT 0  -- of these, in which both DKIM and SPF fail
) STRICT;
CREATE INDEX address_first ON address (first_at) WHERE first_at IS NOT NULL;  -- which are new in a window

-- ---------------------------------------------------------------- the ledger

-- Every message ever seen, once, and what became of it. Files given to `ingest` count as messages.
CREATE TABLE message (
  id            INTEGER PRIMARY KEY,
  sha256        BLOB CHECK (length(sha256) = 32),  -- of the bytes as taken; NULL only where they could not be taken
  day           INTEGER NOT NULL DEFAULT 0,  -- the day that its first Date field names, 0 where there is none: messages that come together are neighbours in the index
  -- Where it was first seen: a path, or imap://account/folder;uidvalidity=V;uid=U. What many have in common, up to the last `/` or
  -- `;uid=`, is in `folder`; where that is NULL, all of it is in `origin`.
  folder        INTEGER REFERENCES text (id),
  origin        TEXT NOT NULL,           -- the rest of it
  seen_at       INTEGER NOT NULL,        -- when it was kept
  received_at   INTEGER,                 -- when the server got it (IMAP INTERNALDATE)
  bytes         INTEGER NOT NULL,        -- its size
  outcome       TEXT NOT NULL CHECK (outcome = 'stored' OR outcome = 'partial' OR outcome = 'duplicate' OR outcome = 'not_a_report' OR outcome = 'problem'),  -- what became of it
  reason        TEXT,                    -- why, for people; NULL where it was simply stored
  message_id    TEXT,                    -- Message-ID of the mail itself, without angle brackets (RFC 5322, section 3.6.4)
  from_address  INTEGER REFERENCES text (id),  -- address of its From field
  subject       TEXT,                    -- decoded, bounded
  sent_at       INTEGER,                 -- its Date field
  -- How the mail was authenticated, from the Authentication-Results of the user's own server (RFC 8601):
  auth          TEXT CHECK (auth = 'pass' OR auth = 'fail' OR auth = 'none'),  -- aligned pass, no aligned pass, or no trusted header; NULL: not a mail
  auth_domain   TEXT,                    -- the aligned domain that passed
  auth_results  TEXT,                    -- the trusted header fields as received, bounded
  pruned_at     INTEGER,                 -- when `prune` took away all but what tells that it was seen; NULL: never
  UNIQUE (day, sha256)
) STRICT;
CREATE INDEX message_seen ON message (seen_at);
CREATE INDEX message_untaken ON message (origin) WHERE sha256 IS NULL;  -- what could not be taken, found again by its place

-- IMAP folders, one row for each UIDVALIDITY they ever had (RFC 9051, section 2.3.1.1).
CREATE TABLE mailbox (
  id           INTEGER PRIMARY KEY,
  account      TEXT NOT NULL,            -- the account's name in the configuration when last used
  server       TEXT NOT NULL,            -- user@host:port
  folder       TEXT NOT NULL,
  uid_validity INTEGER NOT NULL,          -- UIDs are only comparable under one value of it
  cursor_uid   INTEGER NOT NULL DEFAULT 0,  -- every UID up to this one was kept or is listed in `deferred`
  fetched_at   INTEGER,                  -- end of the last run that reached the folder's end
  UNIQUE (server, folder, uid_validity)
) STRICT;

-- Where in IMAP folders each message was found: more than one place when it was delivered twice.
CREATE TABLE place (
  mailbox INTEGER NOT NULL REFERENCES mailbox (id),
  uid     INTEGER NOT NULL,
  message INTEGER NOT NULL REFERENCES message (id),
  settled INTEGER NOT NULL DEFAULT 1 CHECK (settled IN (0, 1)),  -- 0: to be flagged, moved or deleted at the source, not yet confirmed
  PRIMARY KEY (mailbox, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX place_message ON place (message);
CREATE INDEX place_unsettled ON place (mailbox, uid) WHERE settled = 0;

-- UIDs that the server lists but did not hand over; tried again by later runs, then a problem.
CREATE TABLE deferred (
  mailbox INTEGER NOT NULL REFERENCES mailbox (id),
  uid     INTEGER NOT NULL,
  tries   INTEGER NOT NULL,             -- in how many runs
  reason  TEXT NOT NULL,                 -- what the server said
  PRIMARY KEY (mailbox, uid)
) STRICT, WITHOUT ROWID;

-- What could not be read, and why. One row for each part, document or whole message.
CREATE TABLE problem (
  id            INTEGER PRIMARY KEY,
  message       INTEGER NOT NULL REFERENCES message (id) ON DELETE CASCADE,
  part          TEXT NOT NULL,           -- MIME part numbers and container members: 2/report.zip/report.xml; '' for the whole
  code          TEXT NOT NULL,           -- a stable word: truncated, encrypted, too-large, …
  reason        TEXT NOT NULL,           -- a sentence for people
  declared_type TEXT,                    -- media type as declared
  found_type    TEXT,                    -- what the bytes look like
  file_name     TEXT,                    -- as declared
  bytes         INTEGER NOT NULL,        -- size as far as seen
  head          BLOB NOT NULL,           -- its first bytes
  seen_at       INTEGER NOT NULL,
  solved_at     INTEGER                  -- when a later `problems retry` read it; NULL while it waits
) STRICT;
CREATE INDEX problem_message ON problem (message);
CREATE INDEX problem_waiting ON problem (seen_at) WHERE solved_at IS NULL;

-- The bytes of messages with a problem, as taken, so that they can be read again. Bounded in size (limits.kept_bytes).
CREATE TABLE kept_message (
  message INTEGER PRIMARY KEY REFERENCES message (id) ON DELETE CASCADE,
  bytes   BLOB NOT NULL                  -- gzip
) STRICT;

-- ---------------------------------------------------------------- reports of every kind

CREATE TABLE report (
  id                 INTEGER PRIMARY KEY,
  kind               TEXT NOT NULL CHECK (kind = 'aggregate' OR kind = 'failure' OR kind = 'tls'),
  message            INTEGER NOT NULL REFERENCES message (id),
  part               TEXT NOT NULL,      -- where in the message it was found
  org_name           INTEGER REFERENCES text (id),  -- report_metadata/org_name; organization-name (RFC 8460)
  org_email          INTEGER REFERENCES text (id),  -- report_metadata/email; contact-info (RFC 8460)
  extra_contact_info TEXT,               -- report_metadata/extra_contact_info
  report_id          TEXT NOT NULL,      -- report_metadata/report_id as sent, trimmed
  domain             INTEGER REFERENCES text (id),  -- policy_published/domain: the DMARC policy domain; policy-domain (RFC 8460)
  begin_at           INTEGER NOT NULL,   -- report_metadata/date_range/begin
  end_at             INTEGER NOT NULL,   -- report_metadata/date_range/end
  identity           BLOB NOT NULL,      -- end, then half a digest of kind, submitter, domain, report_id, begin, end
  content_hash       BLOB NOT NULL,      -- half a digest of the content, equal in every container and encoding
  -- Whose word it is, by the best of the mails that brought it: `verified`, the own server found an aligned pass of a domain
  -- of the reporter's; `foreign`, of somebody else's domain (forwarded, or sent by a provider); `unverified`, the own server
  -- said nothing; `failed`, it says that the mail is not from whom it says it is.
  verification       TEXT NOT NULL DEFAULT 'unverified' CHECK (verification = 'verified' OR verification = 'foreign' OR verification = 'unverified' OR verification = 'failed'),
  -- The report of the same identity that stands instead; NULL: this one stands. Verified stands before foreign and unverified,
  -- these before failed, and among equals the first.
  conflict_with      INTEGER REFERENCES report (id),
  counted            INTEGER GENERATED ALWAYS AS (conflict_with IS NULL AND verification <> 'failed') VIRTUAL,  -- what sums are made of
  records_seen       INTEGER NOT NULL DEFAULT 0,      -- record elements met
  records            INTEGER NOT NULL DEFAULT 0,      -- of these stored; the others are in rejected_record
  messages           INTEGER NOT NULL DEFAULT 0,      -- sum of their counts
  aggregate          INTEGER REFERENCES aggregate (id)  -- kind aggregate: what else it says; NULL: another kind
) STRICT;
CREATE UNIQUE INDEX report_standing ON report (identity) WHERE conflict_with IS NULL;  -- one of each identity stands
CREATE UNIQUE INDEX report_beside ON report (identity, content_hash) WHERE conflict_with IS NOT NULL;  -- the few others
CREATE INDEX report_end ON report (end_at, kind);
CREATE INDEX report_domain ON report (domain, end_at, records, messages, org_name);  -- finds the same report sent under two ids
CREATE INDEX report_org ON report (org_name, end_at);
CREATE INDEX report_message ON report (message);
CREATE INDEX report_odd ON report (end_at) WHERE conflict_with IS NOT NULL OR verification = 'failed' OR records_seen <> records;  -- what a summary leaves out
CREATE INDEX report_conflict ON report (conflict_with) WHERE conflict_with IS NOT NULL;

-- Domains that aggregate reports named as their policy domain, also where the reports are pruned by now: mail from them is
-- ours. Reports whose mail failed do not add to it.
CREATE TABLE policy_domain (
  domain INTEGER PRIMARY KEY REFERENCES text (id)
) STRICT;

-- Deviations that were read around, with the report, complaint or bounce they belong to.
CREATE TABLE warning (
  id        INTEGER PRIMARY KEY,
  report    INTEGER REFERENCES report (id) ON DELETE CASCADE,
  complaint INTEGER REFERENCES complaint (id) ON DELETE CASCADE,
  bounce    INTEGER REFERENCES bounce (id) ON DELETE CASCADE,  -- the bounce it belongs to
  code      TEXT NOT NULL,               -- a stable word
  place     TEXT NOT NULL,               -- element path, header field or container member of the first case
  text      TEXT NOT NULL,               -- what was there and how it was taken
  times     INTEGER NOT NULL DEFAULT 1,  -- how often in this report
  CHECK ((report IS NOT NULL) + (complaint IS NOT NULL) + (bounce IS NOT NULL) = 1)
) STRICT;
CREATE INDEX warning_report ON warning (report) WHERE report IS NOT NULL;
CREATE INDEX warning_complaint ON warning (complaint) WHERE complaint IS NOT NULL;
CREATE INDEX warning_bounce ON warning (bounce) WHERE bounce IS NOT NULL;

-- ---------------------------------------------------------------- aggregate reports (RFC 7489 appendix C, RFC 9990)

-- What aggregate reports say of themselves and of the policy. Those that say the same share a row.
CREATE TABLE aggregate (
  id               INTEGER PRIMARY KEY,
  digest           BLOB NOT NULL UNIQUE, -- of all that follows
  version          TEXT,                 -- version, as sent
  namespace        TEXT,                 -- XML namespace of the root; kept, never branched on
  generator        TEXT,                 -- report_metadata/generator (RFC 9990)
  errors           TEXT,                 -- report_metadata/error, JSON array of {text, lang}
  contact_lang     TEXT,                 -- report_metadata/extra_contact_info/@lang
  p                TEXT,                 -- policy_published/p
  sp               TEXT,                 -- policy_published/sp
  np               TEXT,                 -- policy_published/np (RFC 9990; Google since 2024)
  adkim            TEXT,                 -- policy_published/adkim: r or s
  aspf             TEXT,                 -- policy_published/aspf
  pct              INTEGER,              -- policy_published/pct (RFC 7489)
  fo               TEXT,                 -- policy_published/fo
  testing          TEXT,                 -- policy_published/testing (RFC 9990): y or n
  discovery_method TEXT,                 -- policy_published/discovery_method (RFC 9990): psl or treewalk
  extension        TEXT                  -- extension elements of report and records as raw XML, JSON array
) STRICT;

-- One row of an aggregate report: messages from one address with one result.
CREATE TABLE record (
  report        INTEGER NOT NULL REFERENCES report (id) ON DELETE CASCADE,
  ordinal       INTEGER NOT NULL,        -- position among the record elements of the report, from 0
  source        INTEGER NOT NULL REFERENCES address (id),  -- row/source_ip
  messages      INTEGER NOT NULL CHECK (messages >= 0),    -- row/count
  disposition   INTEGER,                 -- row/policy_evaluated/disposition: 0 none, 1 quarantine, 2 reject, 3 pass; NULL: absent or unknown
  dkim          INTEGER CHECK (dkim IN (0, 1)),  -- row/policy_evaluated/dkim, the aligned result: 1 pass, 0 fail; NULL: absent or unknown
  spf           INTEGER CHECK (spf IN (0, 1)),   -- row/policy_evaluated/spf, likewise
  header_from   INTEGER REFERENCES text (id),    -- identifiers/header_from, lower-case A-label
  envelope_from INTEGER REFERENCES text (id),    -- identifiers/envelope_from; the text '' is the null reverse-path, NULL is absent
  envelope_to   INTEGER REFERENCES text (id),    -- identifiers/envelope_to
  dkim_set      INTEGER NOT NULL REFERENCES dkim_set (id),   -- auth_results/dkim
  spf_set       INTEGER NOT NULL REFERENCES spf_set (id),    -- auth_results/spf
  reason_set    INTEGER REFERENCES reason_set (id),          -- row/policy_evaluated/reason; NULL: none
  PRIMARY KEY (report, ordinal)
) STRICT, WITHOUT ROWID;

-- Words in a record that were sent other than the standard spells them, as sent.
CREATE TABLE record_spelling (
  report  INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,
  field   TEXT NOT NULL,                 -- disposition, dkim, spf, header_from, source_ip, count, …
  spelled TEXT NOT NULL,
  PRIMARY KEY (report, ordinal, field),
  FOREIGN KEY (report, ordinal) REFERENCES record (report, ordinal) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Records that could not be used; the rest of their report stands.
CREATE TABLE rejected_record (
  report  INTEGER NOT NULL REFERENCES report (id) ON DELETE CASCADE,
  ordinal INTEGER NOT NULL,
  code    TEXT NOT NULL,                 -- a stable word: bad-ip, bad-count, null-row, …
  reason  TEXT NOT NULL,                 -- a sentence for people
  content TEXT NOT NULL,                 -- the values met, JSON object
  PRIMARY KEY (report, ordinal)
) STRICT, WITHOUT ROWID;

-- Combinations of DKIM results; one of none too. Of those of each kind there are few, and many ways in which they come together.
CREATE TABLE dkim_set (
  id     INTEGER PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE            -- of the results in order
) STRICT;

-- Combinations of SPF results; one of none too.
CREATE TABLE spf_set (
  id     INTEGER PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE            -- of the results in order
) STRICT;

-- auth_results/dkim, in the order sent.
CREATE TABLE dkim_result (
  dkim_set     INTEGER NOT NULL REFERENCES dkim_set (id),
  ordinal      INTEGER NOT NULL,
  domain       INTEGER REFERENCES text (id),    -- d=, lower-case A-label
  selector     INTEGER REFERENCES text (id),    -- s=
  result       TEXT,                     -- none pass fail policy neutral temperror permerror, or other as sent; NULL: absent
  spelled      TEXT,                     -- as sent, where that differs
  human_result INTEGER REFERENCES text (id),
  lang         TEXT,                     -- human_result/@lang
  PRIMARY KEY (dkim_set, ordinal)
) STRICT, WITHOUT ROWID;
CREATE INDEX dkim_result_domain ON dkim_result (domain, selector);

-- auth_results/spf, in the order sent.
CREATE TABLE spf_result (
  spf_set      INTEGER NOT NULL REFERENCES spf_set (id),
  ordinal      INTEGER NOT NULL,
  domain       INTEGER REFERENCES text (id),
  scope        TEXT,                     -- mfrom or helo, or other as sent
  result       TEXT,                     -- none neutral pass fail softfail policy temperror permerror, or other as sent
  spelled      TEXT,
  human_result INTEGER REFERENCES text (id),
  lang         TEXT,                     -- human_result/@lang
  PRIMARY KEY (spf_set, ordinal)
) STRICT, WITHOUT ROWID;
CREATE INDEX spf_result_domain ON spf_result (domain);

-- Combinations of override reasons.
CREATE TABLE reason_set (
  id     INTEGER PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE            -- of the reasons in order
) STRICT;

-- row/policy_evaluated/reason, in the order sent.
CREATE TABLE reason (
  reason_set INTEGER NOT NULL REFERENCES reason_set (id),  -- the combination it is in
  ordinal    INTEGER NOT NULL,
  type       TEXT,                       -- forwarded sampled_out trusted_forwarder mailing_list local_policy policy_test_mode other, or as sent
  comment    INTEGER REFERENCES text (id),  -- comment: the reporter's explanation
  lang       TEXT,                       -- comment/@lang
  PRIMARY KEY (reason_set, ordinal)
) STRICT, WITHOUT ROWID;

-- ---------------------------------------------------------------- daily sums

-- What the records of counted aggregate reports add up to, so that a question about a window reads its days and not every
-- record. The writer keeps them in the transaction of the records; they equal the sums over the rows, which `doctor` holds
-- them to, and are no less on days of which `prune --keep-sums` took reports away. The day of an entry is the UTC day on which its reports' period ends, in days since the epoch; a period that
-- ends at midnight belongs to the day before. Begin and end are part of each key, so that a window that begins or ends
-- within a day is exact, and a period of several days can be spread over them; they are kept as what they are off a period
-- that ends at midnight and takes a day, which is mostly 0 or 1 and then takes no byte. Keys hold no NULL: 0 stands for a missing
-- domain, organisation or set of reasons, -1 for a missing result. Foreign keys would be looked up with every write, and hold
-- by themselves: what an entry names, a record names.

-- Up to which report the sums are made.
CREATE TABLE daily_state (
  id     INTEGER PRIMARY KEY CHECK (id = 1),
  report INTEGER NOT NULL                -- every report up to this number is in the sums, if it counts
) STRICT;

-- Messages by sending address.
CREATE TABLE daily_source (
  day        INTEGER NOT NULL,           -- the day
  source     INTEGER NOT NULL,           -- record.source
  early      INTEGER NOT NULL,           -- seconds from the period's end to the end of the day
  short      INTEGER NOT NULL,           -- seconds that the period is shorter than a day; below 0: longer
  verified   INTEGER NOT NULL CHECK (verified IN (0, 1)),  -- report.verification is `verified`
  records    INTEGER NOT NULL,           -- how many records are in these sums
  messages   INTEGER NOT NULL,           -- sum of their messages
  dmarc_pass INTEGER NOT NULL,           -- of these with an aligned pass
  dkim_pass  INTEGER NOT NULL,           -- by DKIM
  spf_pass   INTEGER NOT NULL,           -- by SPF
  unknown    INTEGER NOT NULL,           -- with neither, and a result that is absent
  quarantine INTEGER NOT NULL,           -- disposition quarantine
  reject     INTEGER NOT NULL,           -- disposition reject
  forwarded  INTEGER NOT NULL,           -- with a reason forwarded, mailing_list or trusted_forwarder
  dkim_any   INTEGER NOT NULL,           -- with a DKIM signature that passes, of whatever domain
  spf_any    INTEGER NOT NULL,           -- with an SPF pass, of whatever domain
  end_at     INTEGER GENERATED ALWAYS AS ((day + 1) * 86400 - early) VIRTUAL,          -- report.end_at
  begin_at   INTEGER GENERATED ALWAYS AS (day * 86400 - early + short) VIRTUAL,  -- report.begin_at
  PRIMARY KEY (day, source, early, short, verified)
) STRICT, WITHOUT ROWID;

-- Messages by reporter and policy domain.
CREATE TABLE daily_reporter (
  day        INTEGER NOT NULL,           -- the day
  domain     INTEGER NOT NULL,           -- report.domain
  org_name   INTEGER NOT NULL,           -- report.org_name
  early      INTEGER NOT NULL,           -- seconds from the period's end to the end of the day
  short      INTEGER NOT NULL,           -- seconds that the period is shorter than a day; below 0: longer
  verified   INTEGER NOT NULL CHECK (verified IN (0, 1)),  -- report.verification is `verified`
  reports    INTEGER NOT NULL,           -- how many reports are in these sums
  records    INTEGER NOT NULL,           -- how many records; the others as in daily_source
  messages   INTEGER NOT NULL,           -- sum of their messages
  dmarc_pass INTEGER NOT NULL,           -- aligned pass
  dkim_pass  INTEGER NOT NULL,           -- by DKIM
  spf_pass   INTEGER NOT NULL,           -- by SPF
  unknown    INTEGER NOT NULL,           -- with neither, and a result that is absent
  quarantine INTEGER NOT NULL,           -- disposition quarantine
  reject     INTEGER NOT NULL,           -- disposition reject
  end_at     INTEGER GENERATED ALWAYS AS ((day + 1) * 86400 - early) VIRTUAL,          -- report.end_at
  begin_at   INTEGER GENERATED ALWAYS AS (day * 86400 - early + short) VIRTUAL,  -- report.begin_at
  PRIMARY KEY (day, domain, org_name, early, short, verified)
) STRICT, WITHOUT ROWID;

-- Messages by sending address, domains and results: all that a record tells but who received it and under which envelope. Of the
-- results of one address and day there are many, and a question reads them all: so they are packed into one value, in which
-- src/store/daily/packed.rs tells what stands.
CREATE TABLE daily_result (
  day    INTEGER NOT NULL,               -- the day
  source INTEGER NOT NULL,               -- record.source
  part   INTEGER NOT NULL,               -- 0; where there are thousands of results, more of them
  ip     TEXT NOT NULL,                  -- address.ip, again: looked up for each, those of a week would be spread over every page of that table
  sums   BLOB NOT NULL,                  -- by report.domain, record.header_from, disposition, dkim, spf, dkim_set, spf_set, reason_set, period and verified: records and messages
  PRIMARY KEY (day, source, part)
) STRICT, WITHOUT ROWID;

-- Counted reports that `prune --keep-sums` took away: what they added to the daily sums stays. One that comes again is known.
CREATE TABLE summed_report (
  end_at INTEGER NOT NULL,               -- report.end_at
  digest BLOB NOT NULL,                  -- the half digest in report.identity
  PRIMARY KEY (end_at, digest)
) STRICT, WITHOUT ROWID;

-- ---------------------------------------------------------------- failure reports (RFC 6591, RFC 9991)

CREATE TABLE failure (
  report               INTEGER PRIMARY KEY REFERENCES report (id) ON DELETE CASCADE,
  auth_failure         TEXT NOT NULL,    -- Auth-Failure, JSON array
  delivery_result      TEXT,             -- Delivery-Result
  identity_alignment   TEXT,             -- Identity-Alignment, raw
  alignment_semantics  TEXT NOT NULL CHECK (alignment_semantics = '7489' OR alignment_semantics = '9991' OR alignment_semantics = 'unknown'),  -- RFC 9991 turned its meaning round
  source               INTEGER REFERENCES address (id),  -- Source-IP
  source_port          INTEGER,          -- Source-Port (RFC 6692)
  incidents            INTEGER NOT NULL, -- Incidents
  user_agent           TEXT,
  version              TEXT,
  reporting_mta        TEXT,
  original_envelope_id TEXT,
  original_mail_from   TEXT,
  original_rcpt_to     TEXT NOT NULL,    -- JSON array
  authentication_results TEXT NOT NULL,  -- JSON array
  dkim_domain          TEXT,
  dkim_identity        TEXT,
  dkim_selector        TEXT,
  spf_dns              TEXT NOT NULL,    -- JSON array
  header_from          INTEGER REFERENCES text (id),  -- domain of the failed mail's From
  message_id           TEXT,             -- of the failed mail
  subject              TEXT,             -- of the failed mail, decoded
  sample_headers       TEXT,             -- header block of the failed mail; its body is never kept
  prose                TEXT,             -- the human part of a report without a machine part
  fields               TEXT NOT NULL     -- all fields in order, JSON array of [name, value]
) STRICT;

-- ---------------------------------------------------------------- SMTP TLS reports (RFC 8460)

CREATE TABLE tls_policy (
  report              INTEGER NOT NULL REFERENCES report (id) ON DELETE CASCADE,
  ordinal             INTEGER NOT NULL,
  policy_type         TEXT,              -- policies[].policy.policy-type
  policy_domain       INTEGER REFERENCES text (id),  -- policies[].policy.policy-domain
  policy_string       TEXT NOT NULL,     -- policies[].policy.policy-string, JSON array
  mx_host             TEXT NOT NULL,     -- policies[].policy.mx-host, JSON array
  successful_sessions INTEGER NOT NULL,  -- policies[].summary.total-successful-session-count
  failed_sessions     INTEGER NOT NULL,  -- policies[].summary.total-failure-session-count
  PRIMARY KEY (report, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE tls_failure (
  report                 INTEGER NOT NULL,
  policy                 INTEGER NOT NULL,  -- tls_policy.ordinal
  ordinal                INTEGER NOT NULL,
  result_type            TEXT,           -- failure-details[].result-type
  sending_mta_ip         TEXT,           -- sending-mta-ip
  receiving_mx_hostname  TEXT,           -- receiving-mx-hostname
  receiving_mx_helo      TEXT,           -- receiving-mx-helo
  receiving_ip           TEXT,           -- receiving-ip
  failed_sessions        INTEGER NOT NULL,  -- failed-session-count
  additional_information TEXT,           -- additional-information
  failure_reason_code    TEXT,           -- failure-reason-code
  PRIMARY KEY (report, policy, ordinal),
  FOREIGN KEY (report, policy) REFERENCES tls_policy (report, ordinal) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- ---------------------------------------------------------------- complaints (RFC 5965, 6430, 6590, 9477)

CREATE TABLE complaint (
  id                     INTEGER PRIMARY KEY,
  message                INTEGER NOT NULL REFERENCES message (id),
  identity               BLOB NOT NULL UNIQUE,  -- half a digest of type, original Message-ID and recipients, else of the fields
  feedback_type          TEXT NOT NULL,  -- Feedback-Type, lower case; unknown words as sent
  provider               TEXT,           -- who runs the feedback loop
  provider_source        TEXT,           -- Source of a shared loop, as sent
  user_agent             TEXT,           -- User-Agent
  version                TEXT,           -- Version
  arrived_at             INTEGER NOT NULL,  -- Arrival-Date, else the original's or the complaint's own date, else when it was kept
  source                 INTEGER REFERENCES address (id),  -- Source-IP
  source_ip_via          TEXT,           -- where that was found
  source_port            INTEGER,        -- Source-Port
  incidents              INTEGER NOT NULL CHECK (incidents BETWEEN 1 AND 1000),  -- Incidents, capped
  original_envelope_id   TEXT,           -- Original-Envelope-Id
  original_mail_from     TEXT,           -- Original-Mail-From, without angle brackets
  reporting_mta          TEXT,           -- Reporting-MTA
  reported_domains       TEXT NOT NULL,  -- Reported-Domain, JSON array
  reported_uris          TEXT NOT NULL,  -- Reported-URI, JSON array
  authentication_results TEXT NOT NULL,  -- Authentication-Results of the feedback part, JSON array
  header_from            INTEGER REFERENCES text (id),  -- domain of the original's From
  message_id             TEXT,           -- Message-ID of the original
  subject                TEXT,           -- of the original
  sent_at                INTEGER,        -- Date of the original
  list_id                TEXT,           -- List-Id of the original
  dkim_signatures        TEXT NOT NULL,  -- of the original, JSON array of [domain, selector]
  cfbl_feedback_id       TEXT,           -- CFBL-Feedback-ID (RFC 9477)
  tokens                 TEXT NOT NULL,  -- opaque sender tokens of the original, JSON array of [name, value]
  fields                 TEXT NOT NULL,  -- all fields of the feedback part in order, JSON array of [name, value]
  trusted                INTEGER NOT NULL CHECK (trusted IN (0, 1)),  -- it may act by itself
  trust_reason           TEXT NOT NULL,  -- why, or why not, for people
  about_us               INTEGER NOT NULL CHECK (about_us IN (0, 1)),  -- the mail complained about was ours
  -- What it takes beside the above to judge it again:
  unsubscribe_to         TEXT,           -- where an unsubscribe mail was sent
  reserved               INTEGER NOT NULL DEFAULT 0 CHECK (reserved IN (0, 1)),  -- came through a folder known to feedback loops only
  pruned_at              INTEGER,        -- when `prune` took away all but what a suppression rests on; NULL: never
  trusted_by             TEXT CHECK (trusted_by = 'mail' OR trusted_by = 'reserved' OR trusted_by = 'person' OR trusted_by = 'token'),  -- what proves it: its mail's sender, the folder, a person, a token of the original's sender; NULL where nothing does
  not_ours               TEXT            -- why the mail was not ours, for people; NULL where it was
) STRICT;
CREATE INDEX complaint_not_ours ON complaint (arrived_at) WHERE about_us = 0;
CREATE INDEX complaint_untrusted ON complaint (arrived_at) WHERE trusted = 0;
CREATE INDEX complaint_arrived ON complaint (arrived_at);
CREATE INDEX complaint_source ON complaint (source, arrived_at);
CREATE INDEX complaint_message ON complaint (message);
CREATE INDEX complaint_original ON complaint (message_id) WHERE message_id IS NOT NULL;

-- The people a complaint is about: whom the provider states, and whom the sender's own records show to have got the mail.
-- None where neither names anybody. Where the sender knows better, that decides whom to suppress.
CREATE TABLE complaint_recipient (
  complaint INTEGER NOT NULL REFERENCES complaint (id) ON DELETE CASCADE,
  ordinal   INTEGER NOT NULL,
  address   TEXT,                        -- local part as sent, domain lower-case A-label; NULL where none is usable
  folded    TEXT,                        -- the same in lower case, for matching
  status    TEXT NOT NULL CHECK (status = 'ok' OR status = 'redacted' OR status = 'hashed' OR status = 'absent' OR status = 'malformed' OR status = 'own_domain'),  -- what it is
  via       TEXT NOT NULL,               -- where it was found
  spelled   TEXT NOT NULL,               -- as sent
  identity  TEXT NOT NULL DEFAULT 'reported' CHECK (identity IN ('reported', 'subscribed')),  -- stated by the provider, or known from a send log, a token or a matched hash
  decision  TEXT NOT NULL DEFAULT 'never' CHECK (decision = 'suppress' OR decision = 'pending' OR decision = 'never'),  -- what follows; pending: a person has to decide
  decision_reason TEXT,                  -- why not suppressed, for people
  scope     TEXT,                        -- pending: what a suppression would be limited to, as suppression_event.scope; else NULL
  PRIMARY KEY (complaint, ordinal)
) STRICT, WITHOUT ROWID;
-- Who is suppressed is found by the event.
CREATE INDEX complaint_recipient_folded ON complaint_recipient (folded) WHERE decision <> 'suppress' AND folded IS NOT NULL;
CREATE INDEX complaint_recipient_pending ON complaint_recipient (complaint) WHERE decision = 'pending';
CREATE INDEX complaint_recipient_hashed ON complaint_recipient (complaint, spelled) WHERE status = 'hashed';

-- ---------------------------------------------------------------- bounces (RFC 3464, 6533)

CREATE TABLE bounce (
  id                   INTEGER PRIMARY KEY,
  message              INTEGER NOT NULL REFERENCES message (id),
  identity             BLOB NOT NULL UNIQUE,  -- half a digest of what it tells
  provider             TEXT,             -- who tells it, where that is no mail server
  reporting_mta        TEXT,
  original_envelope_id TEXT,
  arrived_at           INTEGER,          -- Arrival-Date: when the mail came to the reporting server
  told_at              INTEGER NOT NULL, -- when it was told, and never later than when it was kept
  header_from          INTEGER REFERENCES text (id),  -- domain of the bounced mail's From
  message_id           TEXT,             -- Message-ID of the bounced mail
  subject              TEXT,             -- of the bounced mail
  sent_at              INTEGER,          -- Date of the bounced mail
  list_id              TEXT,             -- List-Id of the bounced mail
  dkim_signatures      TEXT NOT NULL,    -- of the bounced mail, JSON array of [domain, selector]
  tokens               TEXT NOT NULL,    -- opaque sender tokens of the bounced mail, JSON array of [name, value]
  fields               TEXT NOT NULL,    -- fields about the whole mail in order, JSON array of [name, value]
  about_us             INTEGER NOT NULL CHECK (about_us IN (0, 1)),  -- the mail was ours, as far as can be told
  pruned_at            INTEGER           -- when `prune` took away all but what a suppression rests on; NULL: never
) STRICT;
CREATE INDEX bounce_told ON bounce (told_at);
CREATE INDEX bounce_message ON bounce (message);
CREATE INDEX bounce_original ON bounce (message_id) WHERE message_id IS NOT NULL;

-- What became of the mail for each recipient that the bounce tells about.
CREATE TABLE bounce_recipient (
  bounce           INTEGER NOT NULL REFERENCES bounce (id) ON DELETE CASCADE,
  ordinal          INTEGER NOT NULL,
  address          TEXT,                 -- whom the mail was sent to: by the sender's own records, else as reported
  folded           TEXT,                 -- the same in lower case, for matching
  status           TEXT NOT NULL CHECK (status = 'ok' OR status = 'redacted' OR status = 'hashed' OR status = 'absent' OR status = 'malformed' OR status = 'own_domain'),  -- what it is
  via              TEXT NOT NULL,        -- where it was found: original-recipient, final-recipient, ses, send-log, verp
  reported         TEXT,                 -- the usable address that the bounce names; NULL where it names none
  reported_via     TEXT NOT NULL,        -- where that was found
  spelled          TEXT NOT NULL,        -- as sent
  final_recipient  TEXT,                 -- Final-Recipient
  action           TEXT,                 -- failed delayed delivered relayed expanded, or other as sent; NULL: absent
  code             TEXT,                 -- Status, or a more exact one of the diagnostic
  class            TEXT NOT NULL CHECK (class = 'hard' OR class = 'soft' OR class = 'policy' OR class = 'sender' OR class = 'content' OR class = 'delayed' OR class = 'delivered' OR class = 'unclear'),  -- what that means
  diagnostic       TEXT,                 -- Diagnostic-Code
  remote_mta       TEXT,                 -- Remote-MTA
  source           INTEGER REFERENCES address (id),  -- the address of ours that the diagnostic names
  last_attempt_at  INTEGER,              -- Last-Attempt-Date
  will_retry_until INTEGER,              -- Will-Retry-Until
  at               INTEGER NOT NULL,     -- when: the last attempt, else when it was told
  trusted          INTEGER NOT NULL CHECK (trusted IN (0, 1)),  -- it is known to be genuine
  trust_reason     TEXT NOT NULL,        -- why, or why not, for people
  trusted_by       TEXT CHECK (trusted_by = 'mail' OR trusted_by = 'reserved' OR trusted_by = 'token' OR trusted_by = 'log'),  -- what proves it: the server that wrote it, the account, a signed return path, the send log; NULL where nothing does
  decision         TEXT NOT NULL DEFAULT 'never' CHECK (decision = 'suppress' OR decision = 'pending' OR decision = 'never'),  -- what follows; pending: a person has to decide
  decision_reason  TEXT,                 -- why not suppressed, for people
  scope            TEXT,                 -- pending: what a suppression would be limited to, as suppression_event.scope; else NULL
  fields           TEXT NOT NULL,        -- its fields in order, JSON array of [name, value]
  PRIMARY KEY (bounce, ordinal)
) STRICT, WITHOUT ROWID;
CREATE INDEX bounce_recipient_pending ON bounce_recipient (bounce) WHERE decision = 'pending';
CREATE INDEX bounce_recipient_folded ON bounce_recipient (folded, at) WHERE folded IS NOT NULL;

-- ---------------------------------------------------------------- what the sender knows

-- Addresses in the send log, each once.
CREATE TABLE send_recipient (
  id      INTEGER PRIMARY KEY,
  address TEXT NOT NULL UNIQUE           -- local part as given, domain lower-case A-label
) STRICT;

-- The send log: which mail went to whom. It resolves complaints and bounces that name no person.
CREATE TABLE send (
  message_id BLOB NOT NULL CHECK (length(message_id) = 16),  -- first half of the SHA-256 of the Message-ID without angle brackets
  recipient  INTEGER NOT NULL REFERENCES send_recipient (id),  -- whom it was sent to
  sent_at    INTEGER NOT NULL,           -- when
  stream     INTEGER REFERENCES text (id),  -- what the sender calls this kind of mail
  PRIMARY KEY (message_id, recipient)
) STRICT, WITHOUT ROWID;

-- What a person decided about senders of complaints. The newest row of a sender counts.
CREATE TABLE trust_event (
  id     INTEGER PRIMARY KEY,
  sender TEXT NOT NULL,                  -- a domain and those below it, or an address; lower case
  kind   TEXT NOT NULL CHECK (kind IN ('add', 'remove')),
  unauthenticated INTEGER NOT NULL CHECK (unauthenticated IN (0, 1)),  -- also without a word of the own server about its mail
  at     INTEGER NOT NULL,               -- when
  author TEXT NOT NULL,                  -- who
  reason TEXT                            -- why, in the person's words
) STRICT;
CREATE INDEX trust_event_sender ON trust_event (sender, id);

-- What complaints and bounces were last judged by; when that is other than what holds now, they are judged again.
CREATE TABLE judgement (
  id       INTEGER PRIMARY KEY CHECK (id = 1),
  settings BLOB NOT NULL,                -- digest of own_domains, feedback_senders, tokens, and what is counted of soft bounces
  domains  BLOB NOT NULL,                -- digest of policy_domain
  report   INTEGER NOT NULL              -- the newest report: later ones may tell that a source fails only
) STRICT;

-- ---------------------------------------------------------------- suppressions

-- What speaks for or against mailing an address; the current state is derived. Rows are only ever added. Those that follow
-- from evidence follow it: where something learned later shows that they never held, or no longer hold, they get an end.
CREATE TABLE suppression_event (
  id        INTEGER PRIMARY KEY,
  folded    TEXT NOT NULL,               -- the address in lower case: what is matched
  address   TEXT NOT NULL,               -- the address as it is exported
  scope     TEXT NOT NULL,               -- the From domain it is about; '' is every domain
  kind      TEXT NOT NULL CHECK (kind = 'complaint' OR kind = 'unsubscribe' OR kind = 'hard_bounce' OR kind = 'soft_bounce' OR kind = 'add' OR kind = 'lift'),
  at        INTEGER NOT NULL,            -- when it happened
  until_at  INTEGER,                     -- when it ends, or ended
  reason    TEXT NOT NULL,               -- feedback type, status code, or what the person wrote
  author    TEXT,                        -- the person, for add and lift
  complaint INTEGER REFERENCES complaint (id),  -- the evidence
  bounce    INTEGER REFERENCES bounce (id)  -- the evidence
) STRICT;
-- Holds all of an event, so that an export reads it alone, in order.
CREATE INDEX suppression_event_address ON suppression_event
  (folded, scope, at, id, kind, until_at, address, reason, author, complaint, bounce);
CREATE INDEX suppression_event_complaint ON suppression_event (complaint) WHERE complaint IS NOT NULL;
CREATE INDEX suppression_event_bounce ON suppression_event (bounce) WHERE bounce IS NOT NULL;

-- The last export for each target, or to each file: what the next one is compared with.
CREATE TABLE export_state (
  id      INTEGER PRIMARY KEY,
  target  TEXT NOT NULL UNIQUE,          -- target:NAME of --since-last, or file:PATH
  format  TEXT NOT NULL,                 -- name of the format
  scope   TEXT NOT NULL,                 -- the From domain asked for; '' is every domain
  at      INTEGER NOT NULL,              -- when
  entries INTEGER NOT NULL,              -- what the target has since
  files   TEXT NOT NULL                  -- names of the files written, JSON array
) STRICT;

-- What each target of --since-last has.
CREATE TABLE export_entry (
  export  INTEGER NOT NULL REFERENCES export_state (id) ON DELETE CASCADE,  -- the target
  folded  TEXT NOT NULL,                 -- the address in lower case
  list    TEXT NOT NULL,                 -- which list of the format
  address TEXT NOT NULL,                 -- the address as written
  scope   TEXT NOT NULL,                 -- the From domain, in formats that tell it; else ''
  digest  BLOB NOT NULL,                 -- of what was written
  PRIMARY KEY (export, folded, list, address, scope)
) STRICT, WITHOUT ROWID;

-- ---------------------------------------------------------------- names of sending addresses

-- What DNS and local network files say of a sending address. Written by `enrich` alone, after ingest, and needed by nothing:
-- no row, or one past its end, only means that nobody asked.
CREATE TABLE source_name (
  source       INTEGER PRIMARY KEY REFERENCES address (id) ON DELETE CASCADE,  -- the address
  looked_up_at INTEGER NOT NULL,         -- when DNS was last asked
  expires_at   INTEGER NOT NULL,         -- when it is worth asking again
  outcome      TEXT NOT NULL CHECK (outcome = 'confirmed' OR outcome = 'unconfirmed' OR outcome = 'none' OR outcome = 'failed'),  -- a name leads back to the address; names are there, none leads back; no name; DNS gave no answer, and what is here is of the time before
  name         TEXT,                     -- the first name that leads back to the address (RFC 8601, section 2.7.3, iprev): its owner's own word
  names        TEXT NOT NULL DEFAULT '[]',  -- all names of the PTR records, confirmed or not, JSON array, bounded
  asn          INTEGER,                  -- number of the autonomous system that announces the network
  as_owner     TEXT,                     -- who runs that
  country      TEXT,                     -- two letters (ISO 3166), as the network file says
  network      TEXT,                     -- prefix in the network file that holds the address: 192.0.2.0/24
  listed       TEXT,                     -- block lists that hold it, JSON array of {list, answers, reason}; NULL: none was asked
  list_errors  TEXT,                     -- block lists that refused or failed, JSON array of {list, reason}; NULL: none did
  provider     TEXT                      -- who that is, where the built-in table knows
) STRICT;
CREATE INDEX source_name_expires ON source_name (expires_at);

-- ---------------------------------------------------------------- what the user says about sources

-- One row for each address, network or domain that the user put a label on. What is closest to a source wins: an address
-- before a network, a longer prefix before a shorter, a network before a domain, a longer domain before a shorter.
CREATE TABLE label (
  subject TEXT PRIMARY KEY,              -- an address, a network as 192.0.2.0/24, or a domain as lower-case A-label; canonical
  class   TEXT CHECK (class = 'ok' OR class = 'fix' OR class = 'forwarded' OR class = 'threat' OR class = 'new'),  -- NULL: judged as without a label
  name    TEXT,                          -- what to call it
  note    TEXT,                          -- why, in the user's words
  at      INTEGER NOT NULL,              -- when it was said
  author  TEXT NOT NULL                  -- who said it
) STRICT, WITHOUT ROWID;

-- ---------------------------------------------------------------- digests

-- The last digest that `digest --if-changed` handed out: one row, or none.
CREATE TABLE digest_state (
  id       INTEGER PRIMARY KEY CHECK (id = 1),
  at       INTEGER NOT NULL,             -- when
  findings BLOB NOT NULL                 -- digest of what it found, without the numbers
) STRICT;

-- ---------------------------------------------------------------- views: the contract

-- One row for each report. Those that are not `counted` are kept but left out of sums.
CREATE VIEW v_report AS
SELECT r.id, r.kind, org.value AS org_name, mail.value AS org_email, r.report_id, dom.value AS domain,
       r.begin_at, r.end_at, r.records, r.messages,
       (SELECT coalesce(sum(w.times), 0) FROM warning w WHERE w.report = r.id) AS warnings,
       r.records_seen, r.records_seen - r.records AS records_rejected, r.conflict_with,
       a.p, a.sp, a.np, a.adkim, a.aspf, a.pct, a.fo, a.testing, a.discovery_method,
       a.version, a.namespace, a.generator, r.extra_contact_info, a.errors,
       coalesce((SELECT value FROM text WHERE text.id = m.folder), '') || m.origin AS origin, r.part, m.seen_at, m.auth, m.auth_domain, r.verification, r.counted
FROM report r
JOIN message m ON m.id = r.message
LEFT JOIN text org ON org.id = r.org_name
LEFT JOIN text mail ON mail.id = r.org_email
LEFT JOIN text dom ON dom.id = r.domain
LEFT JOIN aggregate a ON a.id = r.aggregate;

-- One row for each record of an aggregate report.
CREATE VIEW v_record AS
SELECT c.report, org.value AS org_name, r.report_id, dom.value AS domain, r.begin_at, r.end_at,
       s.ip AS source_ip, c.messages,
       CASE c.disposition WHEN 0 THEN 'none' WHEN 1 THEN 'quarantine' WHEN 2 THEN 'reject' WHEN 3 THEN 'pass' END AS disposition,
       CASE c.dkim WHEN 1 THEN 'pass' WHEN 0 THEN 'fail' END AS dkim,
       CASE c.spf WHEN 1 THEN 'pass' WHEN 0 THEN 'fail' END AS spf,
       CASE WHEN c.dkim = 1 OR c.spf = 1 THEN 'pass' WHEN c.dkim = 0 AND c.spf = 0 THEN 'fail' END AS dmarc,
       hf.value AS header_from, ef.value AS envelope_from, et.value AS envelope_to,
       coalesce((SELECT json_group_array(json_object('type', q.type, 'comment', q.comment, 'lang', q.lang))
                 FROM (SELECT q.type, t.value AS comment, q.lang FROM reason q LEFT JOIN text t ON t.id = q.comment
                       WHERE q.reason_set = c.reason_set ORDER BY q.ordinal) q), '[]') AS reasons,
       (SELECT json_group_array(json_object('domain', k.domain, 'selector', k.selector, 'result', k.result,
                                            'human_result', k.human_result))
        FROM (SELECT d.value AS domain, e.value AS selector, k.result, h.value AS human_result
              FROM dkim_result k LEFT JOIN text d ON d.id = k.domain LEFT JOIN text e ON e.id = k.selector
              LEFT JOIN text h ON h.id = k.human_result WHERE k.dkim_set = c.dkim_set ORDER BY k.ordinal) k) AS dkim_results,
       (SELECT json_group_array(json_object('domain', p.domain, 'scope', p.scope, 'result', p.result,
                                            'human_result', p.human_result))
        FROM (SELECT d.value AS domain, p.scope, p.result, h.value AS human_result
              FROM spf_result p LEFT JOIN text d ON d.id = p.domain
              LEFT JOIN text h ON h.id = p.human_result WHERE p.spf_set = c.spf_set ORDER BY p.ordinal) p) AS spf_results,
       c.ordinal, r.conflict_with, r.verification, r.counted
FROM record c
JOIN report r ON r.id = c.report
JOIN address s ON s.id = c.source
LEFT JOIN text org ON org.id = r.org_name
LEFT JOIN text dom ON dom.id = r.domain
LEFT JOIN text hf ON hf.id = c.header_from
LEFT JOIN text ef ON ef.id = c.envelope_from
LEFT JOIN text et ON et.id = c.envelope_to;

-- One row for each complaint and recipient; one row with recipient NULL where nobody is named.
CREATE VIEW v_complaint AS
SELECT c.id, c.feedback_type, c.provider, s.ip AS source_ip, c.arrived_at, c.incidents,
       p.address AS recipient, coalesce(p.status, 'absent') AS recipient_status, p.via AS recipient_via,
       c.original_mail_from, hf.value AS header_from, c.message_id, c.trusted,
       (SELECT coalesce(sum(w.times), 0) FROM warning w WHERE w.complaint = c.id) AS warnings,
       c.about_us, c.trust_reason, c.provider_source, c.user_agent, c.subject, c.sent_at, c.list_id,
       c.reported_domains, c.reported_uris, c.dkim_signatures, c.cfbl_feedback_id, c.source_ip_via,
       coalesce((SELECT value FROM text WHERE text.id = m.folder), '') || m.origin AS origin, m.seen_at, p.identity AS recipient_identity, coalesce(p.decision, 'never') AS decision,
       p.decision_reason, c.trusted_by, c.not_ours
FROM complaint c
JOIN message m ON m.id = c.message
LEFT JOIN complaint_recipient p ON p.complaint = c.id
LEFT JOIN address s ON s.id = c.source
LEFT JOIN text hf ON hf.id = c.header_from;

-- One row for each bounce and recipient.
CREATE VIEW v_bounce AS
SELECT b.id, p.at, p.class, p.action, p.code AS status, p.address AS recipient, p.status AS recipient_status,
       p.via AS recipient_via, p.reported, p.final_recipient, p.diagnostic, p.remote_mta, b.reporting_mta,
       s.ip AS source_ip, hf.value AS header_from, b.message_id, p.trusted, p.trust_reason, p.decision, p.decision_reason, b.about_us, b.provider,
       b.arrived_at, b.told_at, p.last_attempt_at, p.will_retry_until, b.subject, b.sent_at, b.list_id, b.dkim_signatures,
       (SELECT coalesce(sum(w.times), 0) FROM warning w WHERE w.bounce = b.id) AS warnings,
       coalesce((SELECT value FROM text WHERE text.id = m.folder), '') || m.origin AS origin, m.seen_at
FROM bounce b
JOIN message m ON m.id = b.message
JOIN bounce_recipient p ON p.bounce = b.id
LEFT JOIN address s ON s.id = p.source
LEFT JOIN text hf ON hf.id = b.header_from;

-- Addresses not to be mailed now: the newest event that speaks against it, has not ended, and was not lifted since. One
-- without an end is told before one with an end.
CREATE VIEW v_suppression AS
SELECT e.address, e.reason, e.scope,
       (SELECT min(f.at) FROM suppression_event f
        WHERE f.folded = e.folded AND f.scope = e.scope AND f.kind <> 'lift'
          AND (f.until_at IS NULL OR f.until_at > CAST(strftime('%s', 'now') AS INTEGER))
          AND NOT EXISTS (SELECT 1 FROM suppression_event l
                          WHERE l.folded = f.folded AND l.scope = f.scope AND l.kind = 'lift' AND (l.at, l.id) > (f.at, f.id))
       ) AS since_at,
       e.until_at,
       CASE WHEN e.complaint IS NOT NULL THEN 'complaint ' || e.complaint
            WHEN e.bounce IS NOT NULL THEN 'bounce ' || e.bounce
            ELSE e.kind || ' by ' || coalesce(e.author, '?') END AS evidence
FROM suppression_event e
WHERE e.kind <> 'lift'
  AND (e.until_at IS NULL OR e.until_at > CAST(strftime('%s', 'now') AS INTEGER))
  AND NOT EXISTS (SELECT 1 FROM suppression_event n
                  WHERE n.folded = e.folded AND n.scope = e.scope AND (n.at, n.id) > (e.at, e.id)
                    AND (n.kind = 'lift' OR n.until_at IS NULL
                         OR e.until_at IS NOT NULL AND n.until_at > CAST(strftime('%s', 'now') AS INTEGER)))
  AND (e.until_at IS NULL
       OR NOT EXISTS (SELECT 1 FROM suppression_event n
                      WHERE n.folded = e.folded AND n.scope = e.scope AND (n.at, n.id) < (e.at, e.id)
                        AND n.kind <> 'lift' AND n.until_at IS NULL
                        AND NOT EXISTS (SELECT 1 FROM suppression_event l
                                        WHERE l.folded = n.folded AND l.scope = n.scope AND l.kind = 'lift'
                                          AND (l.at, l.id) > (n.at, n.id))));

-- The ledger.
CREATE VIEW v_message AS
SELECT id, lower(hex(sha256)) AS sha256,
       coalesce((SELECT value FROM text WHERE text.id = folder), '') || origin AS origin, seen_at, bytes, outcome, reason, received_at, message_id,
       (SELECT value FROM text WHERE text.id = from_address) AS from_address, subject, sent_at, auth, auth_domain
FROM message;

-- Sending addresses that `enrich` has looked up, and what it found.
CREATE VIEW v_source_name AS
SELECT s.ip AS source_ip, n.name, n.names, n.outcome, n.provider, n.asn, n.as_owner, n.country, n.network, n.listed,
       n.list_errors, n.looked_up_at, n.expires_at
FROM source_name n
JOIN address s ON s.id = n.source;
