# Connections of the pool where the suite's own, over a Unix socket, does not
# go: several hosts, TLS, a server that stands still; and writes that race.

use lib 't/lib';
use MCHost::Test;
use Time::HiRes qw(time);

my $t = MCHost::Test->new(start => 0);
my $pg = $t->pg;
my $address = join '.', 127, 1 + $$ % 250, 1 + ($$ >> 8) % 250, 7;

# a certificate and a TCP listener
system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout $pg->{data}/server.key -out $pg->{data}/server.crt 2>/dev/null") == 0
    or die "openssl failed\n";
chmod 0600, "$pg->{data}/server.key";
chown((getpwnam 'postgres')[2, 3], "$pg->{data}/server.key", "$pg->{data}/server.crt") if $> == 0;
$t->sql("ALTER SYSTEM SET $_", db => 'postgres') for 'ssl = on', "listen_addresses = '$address'";
open my $hba, '>>', "$pg->{data}/pg_hba.conf" or die $!;
print $hba "hostssl all mchost_api 127.0.0.0/8 scram-sha-256\n";
close $hba;
$pg->restart;

# nobody listens on port 1, and the socket's number stays the same
my $conninfo = $pg->conninfo('mchost_api', host => "127.0.0.1,$address") . ' port=1,5432 sslmode=require';
my %vars = %{ $t->nginx->{vars} };
$t->nginx->configure($t->nginx->{template}, %vars,
    POSTGRES => qq(mchost_postgres main { conninfo "$conninfo"; connections 1; pipeline 16; queue 64 timeout=2s; query_timeout 1s; })
        . ' mchost_postgres platform { conninfo "' . $pg->conninfo('mchost_platform') . '"; connections 1; }');
$t->nginx->start;
$t->wait_ready;

my $acme = $t->tenant('acme', max_servers => 1000);
my @own = (key => $acme->{key}, timeout => 30);

sub backends { return $t->sql("SELECT pid FROM pg_stat_activity WHERE usename = 'mchost_api'") }

subtest 'the second host, over TLS' => sub {
    is($t->api(GET => '/me', @own)->status, 200, 'answers');
    is($t->sql("SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'mchost_api'"), 't', 'encrypted');
};

subtest 'more bytes than one TLS record' => sub {
    $t->sql("INSERT INTO servers (tenant_id, id, name, spec) SELECT '$acme->{id}', gen_random_uuid(), 's' || n,"
        . " json_build_object('software', json_build_object('type', 'demo'), 'x', repeat('y', 3000))::jsonb FROM generate_series(1, 200) n");
    my @c = map { $t->api_begin(GET => $_ % 2 ? '/servers?limit=200' : '/me', @own) } 1 .. 12;
    my @r = map { $_->receive } @c;
    is(join(' ', map { $_->status } @r), join(' ', (200) x 12), 'long and short ones in one pipeline');
    is((grep { $_->json && ($_->json->{items} ? @{ $_->json->{items} } == 200 : $_->json->{tenant}) } @r) + 0, 12, 'all complete');
};

subtest 'a server that stands still' => sub {
    my $pid = backends();
    kill 'STOP', $pid;
    my $start = time;
    my @c = map { $t->api_begin(GET => '/me', @own) } 1 .. 8;
    my @s = map { $_->receive->status } @c;
    my $took = time - $start;
    kill 'CONT', $pid;
    is(join(' ', sort @s), join(' ', (200) x 7, 504), "given up or repeated: @s");
    cmp_ok($took, '<', 6, sprintf 'within the time limits (%.1f s)', $took);
    wait_for { $t->api(GET => '/me', @own)->status == 200 } 'a new connection';
    isnt(backends(), $pid, 'on a connection of its own');
};

subtest 'a lock that holds a write longer than its time' => sub {
    my $s = $pg->session;
    $s->do("BEGIN; SELECT 1 FROM tenant_usage FOR UPDATE");
    my $r = $t->api(POST => '/servers', @own, body => { name => 'late', spec => $t->spec });
    is($r->status, 504, 'is given up');
    $s->do('COMMIT');
    $s->end;
    is($t->api(GET => '/me', @own)->status, 200, 'the connection goes on');
    is($t->sql("SELECT count(*) FROM servers WHERE name = 'late'"), '0', 'nothing was written');
};

subtest 'changes that race' => sub {
    my $id = $t->server($acme, 'raced')->{id};
    my @c = map { $t->api_begin(PATCH => "/servers/$id", @own, body => { spec => { properties => { motd => "number $_" } } }) } 1 .. 12;
    my @r = map { $_->receive } @c;
    is((grep { $_->status !~ /^(200|409)$/ } @r) + 0, 0, 'made or refused: ' . join ' ', map { $_->status } @r);

    my $made = grep { $_->status == 200 } @r;
    cmp_ok($made, '>', 0, "$made made");
    is($t->api(GET => "/servers/$id", @own)->json->{generation}, 1 + $made, 'each a generation');

    my $stale = $t->api(PATCH => "/servers/$id", @own, headers => { 'If-Match' => '"1"' }, body => { spec => { properties => { motd => 'x' } } });
    is($stale->status, 412, 'one from before: 412');
    is($t->sql("SELECT count(*) FROM audit WHERE action = 'server.update' AND server_id = '$id'"), "$made", 'a trail of each');
};

$t->allow(qr/connection lost with \d+ requests/);
done_testing;
