# The pool: errors, lost connections, clients that leave, a full queue, a slow
# or absent database, and recovery by itself.

use lib 't/lib';
use MCHost::Test;
use Time::HiRes qw(time sleep);

my $pgdir = File::Temp::tempdir('mchp-XXXXXX', DIR => '/tmp', CLEANUP => 1);
chmod 0755, $pgdir;
my $t = MCHost::Test->new(start => 0, pg_host => $pgdir,
    nginx => { CONNECTIONS => 1, PIPELINE => 8, QUEUE => '4 timeout=1s', QUERY_TIMEOUT => '2s', POOL => 'connect_timeout 1s;' });
my $proxy = MCHost::Proxy->new(listen => "$pgdir/.s.PGSQL.5432", to => $t->pg->socket_dir . '/.s.PGSQL.5432');
$t->nginx->start;
$t->wait_ready;

my $acme = $t->tenant('acme');
my $other = $t->tenant('other');
my ($worker) = $t->nginx->workers;

sub me { return $t->api(GET => '/me', key => $acme->{key}, timeout => 30) }
sub begin_me { return $t->api_begin(GET => '/me', key => $acme->{key}) }
sub lock_tenants { my $s = $t->pg->session; $s->do('BEGIN; LOCK TABLE tenants IN ACCESS EXCLUSIVE MODE'); return $s }

# Every request that waits for the database is sent and none answered.
sub waiting {
    my ($n) = @_;

    wait_for { $t->sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'mchost_api' AND wait_event_type = 'Lock'") >= 1 } 'a request that waits for a lock' if $n;
}

sub recovers {
    my ($name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok(eval { wait_for { me()->status == 200 } 'recovery', 15; 1 }, "$name: answers again by itself") or diag $@;
    is(join(' ', $t->nginx->workers), $worker, "$name: the same worker");
}

# 503 with Retry-After, within the time.
sub refused_within {
    my ($name, $seconds, $code) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $start = time;
    my $r = $code->();
    my $took = time - $start;
    like($r->status, qr/^(503|504)$/, "$name: " . $r->status);
    like($r->header('Retry-After') // '', qr/^\d+$/, "$name: Retry-After") if $r->status == 503;
    cmp_ok($took, '<', $seconds, sprintf '%s: within %.1f s', $name, $took);
}

subtest 'an error in one segment and success right behind it' => sub {
    $t->server($acme, 'taken');
    my @c;
    for my $i (1 .. 20) {
        push @c, [ 409, $t->api_begin(POST => '/servers', key => $acme->{key}, body => { name => 'taken', spec => $t->spec }) ];
        push @c, [ 200, begin_me() ];
        $_->[2] = $_->[1]->receive for grep { !$_->[2] } @c;
    }
    is((grep { $_->[2]->status != $_->[0] } @c) + 0, 0, 'one by one');

    # all at once, in one pipeline behind a lock
    my $lock = lock_tenants();
    @c = map { [ $_ % 2 ? 409 : 200, $_ % 2 ? $t->api_begin(POST => '/servers', key => $acme->{key}, body => { name => 'taken', spec => $t->spec }) : begin_me() ] } 1 .. 8;
    waiting(1);
    $lock->do('COMMIT');
    is((grep { $_->[1]->receive->status != $_->[0] } @c) + 0, 0, 'in one pipeline');
    $lock->end;
    is($t->sql("SELECT servers FROM tenant_usage WHERE tenant_id = '$acme->{id}'"), '1', 'a failed create leaves no trace in the quota');
    is($t->sql("SELECT count(*) FROM audit WHERE tenant_id = '$acme->{id}' AND action = 'server.create'"), '1', 'nor in the audit');
};

subtest 'an error that comes only at the Sync' => sub {
    # A deferred constraint fails after the statement has returned its row.
    $t->sql(<<'EOT');
CREATE FUNCTION refuse_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.name = 'late' THEN RAISE unique_violation USING MESSAGE = 'late'; END IF; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON servers DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_late();
EOT
    my @c = map { my $late = $_ % 2; [ $late ? 409 : 200, $late
                ? $t->api_begin(POST => '/servers', key => $acme->{key}, body => { name => 'late', spec => $t->spec }) : begin_me() ] } 1 .. 10;
    my @wrong = grep { $_->[1]->receive->status != $_->[0] } @c;
    is(@wrong + 0, 0, 'is the answer of that request and of no other');
    is($t->sql("SELECT count(*) FROM servers WHERE name = 'late'"), '0', 'nothing was written');
    $t->sql('DROP TRIGGER late ON servers; DROP FUNCTION refuse_late()');
};

subtest 'large results' => sub {
    my $big = $t->tenant('big', max_servers => 1000);
    $t->sql("INSERT INTO servers (tenant_id, id, name, spec) SELECT '$big->{id}', gen_random_uuid(), 's' || n,"
        . " json_build_object('software', json_build_object('type', 'demo', 'version', '1.20.4'), 'displayName', repeat('x', 60), 'x', repeat('y', 3000))::jsonb FROM generate_series(1, 200) n");
    my $r = $t->api(GET => '/servers?limit=200', key => $big->{key});
    is($r->status, 200, 'a list of 200');
    cmp_ok(length $r->body, '>', 600_000, 'more than 600 kB');
    is(scalar @{ $r->json->{items} }, 200, 'complete');
    my @c = map { $t->api_begin(GET => '/servers?limit=200', key => $big->{key}), begin_me() } 1 .. 4;
    is(join(' ', map { my $r = $_->receive; $r->status . ($r->json ? '' : '!') } @c), join(' ', ('200') x 8), 'several at once, others between');
};

subtest 'one byte at a time' => sub {
    $proxy->mode('bytes');
    my @c = map { begin_me() } 1 .. 6;
    is(join(' ', map { $_->receive->status } @c), '200 200 200 200 200 200', 'requests in flight');
    $proxy->drop;
    wait_for { $proxy->conns >= 1 } 'a new connection';
    recovers('a connection made byte by byte');
    is($t->api(GET => '/servers', key => $acme->{key})->status, 200, 'a list');
    $proxy->mode('pass');
};

subtest 'backend killed in mid-pipeline' => sub {
    my $lock = lock_tenants();
    my @c = map { begin_me() } 1 .. 6;
    waiting(1);
    $t->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mchost_api'");
    my @r;
    $lock->do('COMMIT');
    $lock->end;
    @r = map { $_->receive } @c;
    like(join(' ', map { $_->status } @r), qr/^((200|503) ?){6}$/, 'reads are repeated or refused: ' . join ' ', map { $_->status } @r);
    ok(!(grep { $_->status == 503 && ($_->header('Retry-After') // '') !~ /^\d+$/ } @r), 'a refusal has Retry-After');
    recovers('after it');

    # a write that was sent is not sent again
    $lock = lock_tenants();
    my $c = $t->api_begin(POST => '/servers', key => $acme->{key}, body => { name => 'unsure', spec => $t->spec });
    waiting(1);
    $t->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mchost_api'");
    my $r = $c->receive;
    is($r->status, 503, 'a write in flight: 503');
    $lock->do('COMMIT');
    $lock->end;
    recovers('after a write');
    is($t->sql("SELECT count(*) FROM servers WHERE name = 'unsure'"), '0', 'not repeated');
};

subtest 'connection cut and reset in mid-answer' => sub {
    for my $mode ('cut', 'reset') {
        for my $bytes (0, 1, 7, 60, 300, 1000) {
            $proxy->mode($mode, $bytes);
            my @c = map { begin_me() } 1 .. 4;
            $_->receive for @c;
            $proxy->mode('pass');
            $proxy->drop;
            ok(eval { wait_for { me()->status == 200 } 'recovery', 15 }, "$mode after $bytes bytes") or diag $@;
        }
    }
    recovers('cuts');
};

subtest 'client gone while waiting' => sub {
    my $lock = lock_tenants();
    my @c = map { begin_me() } 1 .. 4;
    waiting(1);
    $_->close for @c[ 0, 2 ];
    $lock->do('COMMIT');
    is(join(' ', map { $c[$_]->receive->status } 1, 3), '200 200', 'the others get their own answers');
    $lock->end;

    # gone before the connection has room for it
    $lock = lock_tenants();
    my @fill = map { begin_me() } 1 .. 8;
    waiting(1);
    my @queued = map { begin_me() } 1 .. 3;
    wait_for { ($t->metric('mchost_postgres_queued') // 0) >= 3 } 'the queue to fill';
    $_->close for @queued;
    $lock->do('COMMIT');
    $_->receive for @fill;
    $lock->end;
    recovers('clients left the queue');
    wait_for { my $l = slurp("$t->{dir}/access.log"); () = $l =~ / 499 /g } 'nginx to log them as gone';
    pass('logged as 499');
};

subtest 'pool full' => sub {
    my $lock = lock_tenants();
    my @c = map { begin_me() } 1 .. 30;
    my @r;
    my $start = time;
    push @r, $_->receive for @c;
    $lock->do('COMMIT');
    $lock->end;
    my %n;
    $n{ $_->status }++ for @r;
    cmp_ok($n{503} // 0, '>=', 18, 'what does not fit is refused at once') or diag join ' ', map { "$_: $n{$_}" } sort keys %n;
    is((grep { $_->status == 503 && ($_->header('Retry-After') // '') !~ /^\d+$/ } @r) + 0, 0, 'with Retry-After');
    is((grep { $_->status !~ /^50[34]$/ } @r) + 0, 0, 'the rest times out');
    cmp_ok(time - $start, '<', 8, 'within the time limits');
    recovers('a full pool');
};

subtest 'slow database' => sub {
    my $lock = lock_tenants();
    refused_within('a statement that takes too long', 4, \&me);
    recovers('after it') if $lock->do('COMMIT') || 1;
    $lock->end;

    $proxy->mode('delay', 300);
    is(me()->status, 200, 'a slow network');
    $proxy->mode('pass');
};

subtest 'database that hangs' => sub {
    $proxy->mode('hang');
    refused_within("request $_", 8, \&me) for 1 .. 2;
    $proxy->mode('pass');
    $proxy->drop;
    recovers('hang');
};

subtest 'database that is not there' => sub {
    $proxy->mode('refuse');
    $proxy->drop;
    wait_for { MCHost::Http::request($t->port, GET => '/readyz')->status == 503 } 'readyz to say so';
    pass('readyz says so');
    is(MCHost::Http::request($t->port, GET => '/healthz')->status, 200, 'healthz is well');
    refused_within("request $_", 4, \&me) for 1 .. 3;
    my @c = map { begin_me() } 1 .. 20;
    is((grep { $_->receive->status != 503 } @c) + 0, 0, 'twenty at once');
    $proxy->mode('pass');
    recovers('refused');
};

subtest 'database stopped and started' => sub {
    $t->pg->stop;
    refused_within('stopped', 4, \&me);
    $t->pg->start;
    recovers('started');
    $t->pg->kill9;
    refused_within('killed', 4, \&me);
    $t->pg->start;
    recovers('started again');
};

subtest 'a database that is starting or full refuses logins' => sub {
    $t->sql('ALTER ROLE mchost_api CONNECTION LIMIT 0', db => 'postgres');
    $proxy->drop;
    refused_within('no connection allowed', 4, \&me);
    $t->sql('ALTER ROLE mchost_api CONNECTION LIMIT -1', db => 'postgres');
    recovers('allowed again');
};

subtest 'statements that the database forgets' => sub {
    # a pooler or DISCARD ALL behind our back
    my $s = $t->pg->session;
    is(me()->status, 200, 'prepared');
    $t->sql('ALTER TABLE tenants ADD COLUMN extra text');
    is(me()->status, 200, 'a changed table');
    $t->sql('ALTER TABLE tenants DROP COLUMN extra');
    is(me()->status, 200, 'and back');
    $s->end;
};

subtest 'the books balance' => sub {
    wait_for { ($t->metric('mchost_postgres_in_flight') // 1) == 0 && ($t->metric('mchost_postgres_queued') // 1) == 0 } 'gauges at zero';
    pass('nothing in flight, nothing queued');
    is(me()->status, 200, 'and well');
    is($t->sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'mchost_api'"), '1', 'one connection');
};

$t->finish;
$proxy->stop;
done_testing;
