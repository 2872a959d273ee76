-- Suppressions of every kind, for addresses that formats stumble over.
INSERT INTO suppression_event (folded, address, scope, kind, at, until_at, reason, author) VALUES
  ('alice@isp.example', 'Alice@isp.example', 'example.com', 'complaint', 1755684000, NULL, 'abuse', NULL),
  ('alice@isp.example', 'Alice@isp.example', 'example.net', 'complaint', 1755770400, NULL, 'abuse', NULL),
  ('bob+news@isp.example', 'bob+news@isp.example', '', 'add', 1755690000, 4102444800, 'asked by phone, "at once"', 'mia'),
  ('carol@isp.example', 'carol@isp.example', 'example.com', 'unsubscribe', 1755700000, NULL, 'opt-out', NULL),
  ('dave@gone.example', 'dave@gone.example', 'example.com', 'hard_bounce', 1755710000, NULL, '5.1.1 no such user', NULL),
  ('dave@gone.example', 'dave@gone.example', 'example.net', 'complaint', 1755720000, NULL, 'abuse', NULL),
  ('erin@gone.example', 'erin@gone.example', 'example.com', 'hard_bounce', 1755730000, NULL, '=5.1.1', NULL),
  ('frank@isp.example', 'frank@isp.example', '', 'add', 1700000000, 1700086400, 'for a day', 'mia'),
  ('grace@isp.example', 'grace@isp.example', 'example.com', 'complaint', 1755740000, NULL, 'abuse', NULL),
  ('grace@isp.example', 'grace@isp.example', 'example.com', 'lift', 1755750000, NULL, 'signed up again', 'mia'),
  ('o''hara@isp.example', 'O''Hara@isp.example', 'example.com', 'complaint', 1755760000, NULL, 'abuse', NULL),
  ('"a b,c"@isp.example', '"a b,c"@isp.example', 'example.com', 'complaint', 1755760001, NULL, 'abuse', NULL),
  ('=cmd|calc!a1@isp.example', '=cmd|calc!a1@isp.example', 'example.com', 'complaint', 1755760002, NULL, 'abuse', NULL),
  ('#1@isp.example', '#1@isp.example', 'example.com', 'complaint', 1755760003, NULL, 'abuse', NULL),
  ('jörg@isp.example', 'Jörg@isp.example', 'example.com', 'complaint', 1755760004, NULL, 'abuse', NULL),
  ('uwe@xn--bcher-kva.example', 'uwe@xn--bcher-kva.example', 'example.com', 'complaint', 1755760005, NULL, 'abuse', NULL);
