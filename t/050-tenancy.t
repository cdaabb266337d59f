# The tenant wall: another tenant's ids are unknown ids, policies alone keep
# rows apart, and two tenants share one connection without a leak.

use lib 't/lib';
use MCHost::Test;

my $t = MCHost::Test->new(nginx => { CONNECTIONS => 1, PIPELINE => 8 });
my ($red, $blue) = map { $t->tenant($_) } qw(red blue);
my %server = map { $_->{name} => $t->server($_, 'main') } $red, $blue;

subtest 'ids of another tenant' => sub {
    my $id = $server{blue}{id};
    my @routes = (
        [ GET => '' ],
        [ PATCH => '', { spec => { displayName => 'hacked' } } ],
        [ DELETE => '' ],
        [ DELETE => '?purge=true' ],
        [ POST => '/actions/start' ],
        [ POST => '/actions/stop' ],
        [ POST => '/actions/restart' ],
        [ POST => '/console', { command => 'list' } ],
    );

    for (@routes) {
        my ($method, $path, $body) = @$_;
        my %o = (key => $red->{key}, body => $body, headers => $method eq 'PATCH' ? { 'If-Match' => '"1"' } : {});
        my $there = $t->api($method, "/servers/$id$path", %o);
        my $never = $t->api($method, '/servers/' . uuid7() . $path, %o);
        is($there->status, 404, "$method /servers/{id}$path");
        my ($a, $b) = map { my $d = $_->json; delete $d->{requestId}; $d } $there, $never;
        is_deeply($a, $b, '… as if there were none');
    }

    my $list = $t->api(GET => '/servers', key => $red->{key})->json;
    is_deeply([ map { $_->{id} } @{ $list->{items} } ], [ $server{red}{id} ], 'a list has our own only');
    $list = $t->api(GET => "/servers?after=$id", key => $red->{key})->json;
    is((grep { $_->{tenantId} ne $red->{id} } @{ $list->{items} }) + 0, 0, "another tenant's id as a cursor shows nothing of it");
    is($t->api(GET => "/servers/$id", key => $blue->{key})->json->{generation}, 1, "blue's server is untouched");
    is($t->api(POST => '/servers', key => $red->{key}, body => { name => 'blue-main', spec => $t->spec })->status, 201, 'names are per tenant');
    is($t->sql("SELECT count(*) FROM audit WHERE tenant_id = '$red->{id}' AND server_id = '$id'"), '0', "no trace in red's audit");
    is($t->sql("SELECT count(*) FROM audit WHERE tenant_id = '$blue->{id}' AND action <> 'server.create'"), '0', "nor in blue's");
};

subtest 'policies alone' => sub {
    my $as = sub { $t->sql($_[0], user => 'mchost_api') };
    my @tables = qw(tenants tenant_usage api_keys servers server_status audit);

    for my $table (@tables) {
        is($as->("SELECT count(*) FROM $table"), '0', "$table: nothing without a tenant");
        is($as->("SELECT set_config('app.tenant_id', '', false); SELECT count(*) FROM $table") =~ /(\d+)$/ && $1, '0', "$table: nor with an empty one");
        my $n = $as->("SELECT set_config('app.tenant_id', '$red->{id}', false); SELECT count(*) FROM $table WHERE tenant_id <> '$red->{id}'");
        is($n =~ /(\d+)$/ && $1, '0', "$table: as red, nothing of blue");
    }

    ok(!eval { $as->("SELECT set_config('app.tenant_id', 'nonsense', false); SELECT count(*) FROM servers"); 1 }, 'a tenant that is none is an error');

    my $red_does = sub { eval { $as->("SELECT set_config('app.tenant_id', '$red->{id}', false); $_[0]"); 1 } };
    ok(!$red_does->("INSERT INTO servers (tenant_id, id, name, spec) VALUES ('$blue->{id}', '" . uuid7() . "', 'x', '{}')"), 'red cannot insert for blue');
    like($@, qr/row-level security/, 'because of the policy');
    $red_does->("UPDATE servers SET name = 'stolen' WHERE id = '$server{blue}{id}'");
    is($t->sql("SELECT name FROM servers WHERE id = '$server{blue}{id}'"), 'main', 'red cannot change what is of blue');
    ok(!$red_does->("UPDATE servers SET tenant_id = '$blue->{id}' WHERE id = '$server{red}{id}'"), 'nor give blue something');
    ok(!$red_does->("DELETE FROM servers"), 'the API role deletes nothing');
    ok(!$red_does->("UPDATE tenants SET max_servers = 1000"), 'raises no limit');
    ok(!$red_does->("UPDATE api_keys SET role = 'owner'"), 'changes no key');
    ok(!$red_does->("INSERT INTO api_keys (tenant_id, id, name, key_hash, role) VALUES ('$red->{id}', '" . uuid7() . "', 'x', repeat('a', 64), 'owner')"), 'makes no key');
    ok(!$red_does->("UPDATE audit SET action = 'nothing'"), 'rewrites no audit');
    ok(!$red_does->("DELETE FROM audit"), 'nor removes it');
    ok(!$red_does->("INSERT INTO server_status (tenant_id, server_id, observed_generation, status) VALUES ('$red->{id}', '$server{red}{id}', 1, '{}')"), 'writes no status');
    ok(!$red_does->('CREATE TABLE mine (x int)'), 'makes no table');
    ok(!$red_does->('ALTER TABLE servers DISABLE ROW LEVEL SECURITY'), 'and takes no policy away');
    ok(!$red_does->('SET ROLE mchost_owner'), 'nor becomes the owner');
    ok(!$red_does->('SET row_security = off; SELECT count(*) FROM servers'), 'row_security = off is an error, not a way round');

    my $hash = Digest::SHA::sha256_hex($blue->{key});
    is($as->("SELECT set_config('app.key_hash', '$hash', false); SELECT count(*) FROM api_keys") =~ /(\d+)$/ && $1, '1', 'a presented hash shows one key');
    is($as->("SELECT set_config('app.key_hash', '$hash', false); SELECT count(*) FROM servers") =~ /(\d+)$/ && $1, '0', 'and nothing else');
    is($t->sql('SELECT count(*) FROM audit', user => 'mchost_owner'), '0', 'even the owner of the tables is bound');
};

subtest 'two tenants on one connection' => sub {
    is($t->sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'mchost_api'"), '1', 'there is one');

    my $wrong = 0;
    my $done = 0;

    for my $round (1 .. 40) {
        my @c;
        for my $i (1 .. 8) {
            my $who = ($i + $round) % 2 ? $red : $blue;
            my $path = (('/me', '/servers', "/servers/$server{ $who->{name} }{id}", "/servers/$server{ $who == $red ? 'blue' : 'red' }{id}"))[ ($i + $round) % 4 ];
            push @c, [ $who, $path, $t->api_begin(GET => $path, key => $who->{key}) ];
        }
        for (@c) {
            my ($who, $path, $c) = @$_;
            my $r = $c->receive;
            my $d = $r->json;
            my $other = $who == $red ? $blue : $red;
            $done++;
            $wrong++ if index($r->body, $other->{id}) >= 0;
            $wrong++ if $path eq '/me' && $d->{tenant}{id} ne $who->{id};
            $wrong++ if $path =~ m{/servers/(.*)} && $r->status != ($1 eq $server{ $who->{name} }{id} ? 200 : 404);
            $wrong++ if $path eq '/servers' && grep { $_->{tenantId} ne $who->{id} } @{ $d->{items} };
        }
    }
    is($done, 320, 'all were answered');
    is($wrong, 0, 'none with anything of the other tenant');
    is($t->sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'mchost_api'"), '1', 'still one connection');
};

subtest 'writes of two tenants on one connection' => sub {
    my @c;
    for my $i (1 .. 20) {
        for my $who ($red, $blue) {
            # every third is refused by the database: a name that is taken
            my $name = $i % 3 ? "w$i" : 'main';
            push @c, [ $who, $i % 3 ? 201 : 409, $t->api_begin(POST => '/servers', key => $who->{key}, body => { name => $name, spec => $t->spec }) ];
        }
    }
    my @bad;
    for (@c) {
        my ($who, $want, $c) = @$_;
        my $r = $c->receive;
        push @bad, $r->status . " for $want" if $r->status != $want;
        push @bad, 'of another tenant' if $r->status == 201 && $r->json->{tenantId} ne $who->{id};
    }
    is_deeply(\@bad, [], 'each has its own answer');
    for my $who ($red, $blue) {
        is($t->sql("SELECT count(*) FROM servers WHERE tenant_id = '$who->{id}' AND name LIKE 'w%'"), '14', "$who->{name}: what was answered is there");
        is($t->sql("SELECT count(*) FROM servers WHERE tenant_id = '$who->{id}'"), $t->sql("SELECT servers FROM tenant_usage WHERE tenant_id = '$who->{id}'"), 'and counted');
    }
};

subtest 'good and bad keys on one connection' => sub {
    my @bad = (map({ (new_token(uuid7()))[0] } 1 .. 3), $t->key($red, revoked => 'now()'));
    my @c = map { my $key = $_ % 2 ? $bad[ $_ % 4 ] : $red->{key}; [ $_ % 2 ? 401 : 200, $t->api_begin(GET => '/servers', key => $key) ] } 1 .. 60;
    is((grep { $_->[1]->receive->status != $_->[0] } @c) + 0, 0, 'the one never opens for the other');
};

done_testing;
