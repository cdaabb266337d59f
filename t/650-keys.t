# API keys as a resource: made, listed, searched, revoked; scopes and lists of
# servers; nobody gives more than he has; quotas hold under concurrency.

use lib 't/lib';
use MCHost::Test;

my $t = MCHost::Test->new(nginx => { WORKERS => 2, CONNECTIONS => 4 });
my ($red, $blue) = map { $t->tenant($_) } qw(red blue);
my %server = map { $_ => $t->server($red, $_)->{id} } qw(one two);
my $foreign = $t->server($blue, 'one')->{id};

sub make_key {
    my ($by, %body) = @_;

    return $t->api(POST => '/keys', key => $by, body => { name => 'k', %body });
}

subtest 'a key and its life' => sub {
    my $r = make_key($red->{key}, name => 'shop', role => 'operator');
    is($r->status, 201, 'made') or diag $r->body;
    my $k = $r->json;
    like($k->{secret}, qr/^mch_[0-9a-f]{32}_[A-Za-z0-9_-]{43}$/, 'the secret');
    is($r->header('Location'), "/api/v1/keys/$k->{id}", 'Location');
    is(index($k->{secret}, $k->{prefix}), 0, 'begins with its prefix');
    is($t->api(GET => '/servers', key => $k->{secret})->status, 200, 'it opens');

    my $one = $t->api(GET => "/keys/$k->{id}", key => $red->{key});
    is($one->status, 200, 'get');
    unlike($one->body, qr/secret|key_?hash/i, 'without the secret');
    is($one->json->{role}, 'operator', 'role');

    my $list = $t->api(GET => '/keys', key => $red->{key})->json;
    is(scalar @{ $list->{items} }, 2, 'two in the list');
    is_deeply([ map { $_->{id} } @{ $t->api(GET => '/keys?q=SHO', key => $red->{key})->json->{items} } ], [ $k->{id} ], 'found by its name');
    is_deeply([ map { $_->{id} } @{ $t->api(GET => "/keys?q=$k->{prefix}", key => $red->{key})->json->{items} } ], [ $k->{id} ], 'and by its prefix');
    is_deeply($t->api(GET => '/keys?q=%25', key => $red->{key})->json->{items}, [], 'a search has no wildcards');

    is($t->api(DELETE => "/keys/$k->{id}", key => $red->{key})->status, 204, 'revoked');
    is($t->api(GET => '/servers', key => $k->{secret})->status, 401, 'dead at once');
    is($t->api(DELETE => "/keys/$k->{id}", key => $red->{key})->status, 404, 'gone');
    is($t->sql("SELECT string_agg(action, ' ' ORDER BY at) FROM audit WHERE tenant_id = '$red->{id}' AND action LIKE 'key.%'"), 'key.create key.delete', 'both in the audit');
    is($t->sql("SELECT count(*) FROM audit WHERE detail::text LIKE '%$k->{secret}%'"), '0', 'which knows no secret');
    unlike(slurp($t->nginx->{log}), qr/\Q$k->{secret}\E/, 'nor does the log');

    my $soon = make_key($red->{key}, expiresAt => '2020-01-01T00:00:00Z')->json;
    is($t->api(GET => '/me', key => $soon->{secret})->status, 401, 'an expired key');
};

subtest 'what is not valid' => sub {
    my @bad = ([ {}, '/name' ], [ { name => '' }, '/name' ], [ { name => 'x', role => 'root' }, '/role' ], [ { name => 'x', scopes => [ 'all' ] }, '/scopes/0' ],
        [ { name => 'x', servers => [ 'one' ] }, '/servers/0' ], [ { name => 'x', expiresAt => 'soon' }, '/expiresAt' ], [ { name => 'x', more => 1 }, '/more' ],
        [ { name => "a\nb" }, '/name' ], [ { name => 'x' x 65 }, '/name' ]);
    for (@bad) {
        my $r = $t->api(POST => '/keys', key => $red->{key}, body => $_->[0]);
        is($r->status, 422, "$_->[1]: refused") or diag $r->body;
        is($r->json->{errors}[0]{pointer}, $_->[1], 'and where');
    }
    my $r = $t->api(POST => '/keys', key => $red->{key}, body => { name => '', role => 'x', servers => 1 });
    is_deeply([ sort map { $_->{pointer} } @{ $r->json->{errors} } ], [ '/name', '/role', '/servers' ], 'all at once');
};

subtest 'nobody gives more than he has' => sub {
    my $admin = make_key($red->{key}, role => 'admin')->json->{secret};
    my $r = make_key($admin, role => 'owner');
    is($r->status, 422, 'an admin makes no owner');
    is($r->json->{errors}[0]{pointer}, '/role', 'because of the role');
    is(make_key($admin, role => 'admin')->status, 201, 'but an admin');
    is(make_key(make_key($red->{key}, role => 'operator')->json->{secret})->status, 403, 'an operator makes none');

    my $owners = make_key($red->{key}, role => 'owner')->json;
    is($t->api(DELETE => "/keys/$owners->{id}", key => $admin)->status, 403, 'an admin revokes no owner');
    is($t->api(GET => '/me', key => $owners->{secret})->status, 200, 'who is still there');

    my $some = make_key($red->{key}, role => 'admin', scopes => [ 'keys', 'servers:read' ])->json->{secret};
    is(make_key($some)->json->{errors}[0]{pointer}, '/scopes', 'a key with scopes gives no others');
    is(make_key($some, scopes => [ 'console' ])->json->{errors}[0]{pointer}, '/scopes', 'none that it lacks');
    is(make_key($some, scopes => [ 'servers:read' ])->status, 201, 'and those that it has');
};

subtest 'scopes' => sub {
    my $k = make_key($red->{key}, role => 'owner', scopes => [ 'servers:read' ])->json->{secret};
    is($t->api(GET => '/servers', key => $k)->status, 200, 'reads');
    is($t->api(GET => '/me', key => $k)->status, 200, 'me needs none');
    my %o = (key => $k);
    is($t->api(POST => '/servers', %o, body => { name => 'x', spec => $t->spec })->status, 403, 'makes none');
    is($t->api(POST => "/servers/$server{one}/actions/stop", %o)->status, 403, 'stops none');
    is($t->api(POST => "/servers/$server{one}/console", %o, body => { command => 'list' })->status, 403, 'has no console');
    is($t->api(GET => '/keys', %o)->status, 403, 'sees no keys');
    my $power = make_key($red->{key}, role => 'operator', scopes => [ 'servers:power' ])->json->{secret};
    is($t->api(POST => "/servers/$server{one}/actions/stop", key => $power)->status, 202, 'servers:power stops');
    is($t->api(GET => '/servers', key => $power)->status, 403, 'and does not read');

    my $ws = $t->ws(key => $power, refused => 1);
    is($ws->status, 403, 'nor listens');
};

subtest 'lists of servers' => sub {
    my $k = make_key($red->{key}, role => 'admin', servers => [ $server{one} ])->json->{secret};
    is_deeply([ map { $_->{id} } @{ $t->api(GET => '/servers', key => $k)->json->{items} } ], [ $server{one} ], 'the list has one');
    is($t->api(GET => "/servers/$server{one}", key => $k)->status, 200, 'which is there');
    my ($other, $none) = map { my $d = $t->api(GET => "/servers/$_", key => $k); [ $d->status, { %{ $d->json }, requestId => 0 } ] } $server{two}, uuid7();
    is($other->[0], 404, 'another one is not');
    is_deeply($other, $none, 'as if there were none');
    is($t->api(PATCH => "/servers/$server{two}", key => $k, body => { spec => { displayName => 'x' } })->status, 404, 'nor changed');
    is($t->api(DELETE => "/servers/$server{two}", key => $k)->status, 404, 'nor deleted');
    is($t->api(POST => "/servers/$server{two}/actions/stop", key => $k)->status, 404, 'nor stopped');
    is($t->api(POST => '/servers', key => $k, body => { name => 'new', spec => $t->spec })->status, 403, 'it makes none');
    is($t->sql("SELECT count(*) FROM servers WHERE name = 'new'"), '0', 'none was made');
    for my $table (qw(server_events server_metrics server_backups)) {
        my $rows = $t->sql("SELECT count(*) FROM pg_policies WHERE tablename = '$table' AND permissive = 'RESTRICTIVE' AND policyname = 'key_servers'");
        is($rows, '1', "$table: bound to the list as well");
    }
    $t->sql("INSERT INTO server_events (tenant_id, id, server_id, type, reason) VALUES ('$red->{id}', '" . uuid7() . "', '$server{$_}', 'Normal', 'Test')") for qw(one two);
    is_deeply([ map { $_->{server} } @{ $t->api(GET => '/events', key => $k)->json->{items} } ], [ $server{one} ], 'events of its own');
    is(make_key($k)->json->{errors}[0]{pointer}, '/servers', 'and gives no others away');
    is(make_key($red->{key}, servers => [ $foreign ])->json->{errors}[0]{pointer}, '/servers', "another tenant's server is unknown");
    is(make_key($red->{key}, servers => [ uuid7() ])->json->{errors}[0]{pointer}, '/servers', 'like one that is nobody\'s');
    is_deeply($t->api(GET => '/servers', key => make_key($red->{key}, servers => [])->json->{secret})->json->{items}, [], 'an empty list is no server');
};

subtest 'tenancy' => sub {
    my $k = make_key($blue->{key}, name => 'blue-key')->json;
    for my $method (qw(GET DELETE)) {
        my ($there, $never) = map { my $r = $t->api($method, "/keys/$_", key => $red->{key}); [ $r->status, { %{ $r->json }, requestId => 0 } ] } $k->{id}, uuid7();
        is($there->[0], 404, "$method another tenant's key");
        is_deeply($there, $never, 'as if there were none');
    }
    is($t->api(GET => '/me', key => $k->{secret})->status, 200, 'it lives');
    unlike($t->api(GET => '/keys', key => $red->{key})->body, qr/blue-key/, 'not in the list');
    my $as = sub { $t->sql($_[0], user => 'mchost_api') };
    my $set = "SELECT set_config('app.tenant_id', '$red->{id}', false), set_config('app.role', 'admin', false);";
    ok(!eval { $as->("$set INSERT INTO api_keys (tenant_id, id, name, key_hash, role) VALUES ('$red->{id}', '" . uuid7() . "', 'x', repeat('b', 64), 'owner')"); 1 }, 'the policies make no owner of an admin');
    like($@, qr/row-level security/, 'because of the policy');
    $as->("$set DELETE FROM api_keys WHERE role = 'owner'");
    is($t->api(GET => '/me', key => $red->{key})->status, 200, 'nor does he remove one');
};

subtest 'last use' => sub {
    my $k = make_key($red->{key}, role => 'viewer')->json;
    is($t->api(GET => "/keys/$k->{id}", key => $red->{key})->json->{lastUsedAt}, undef, 'never');
    $t->api(GET => '/me', key => $k->{secret});
    wait_for { $t->api(GET => "/keys/$k->{id}", key => $red->{key})->json->{lastUsedAt} } 'lastUsedAt';
    my $first = $t->sql("SELECT used_at FROM key_use WHERE key_id = '$k->{id}'");
    $t->api(GET => '/me', key => $k->{secret}) for 1 .. 20;
    is($t->sql("SELECT used_at FROM key_use WHERE key_id = '$k->{id}'"), $first, 'written once a minute');
};

subtest 'quotas' => sub {
    my $ten = $t->tenant('ten', max_servers => 10);
    my @c = map { $t->api_begin(POST => '/servers', key => $ten->{key}, body => { name => "s$_", spec => $t->spec }) } 1 .. 100;
    my %got;
    $got{ $_->receive->status }++ for @c;
    is_deeply(\%got, { 201 => 10, 403 => 90 }, '100 at once at a limit of 10 make exactly 10');
    is($t->sql("SELECT count(*) FROM servers WHERE tenant_id = '$ten->{id}'"), '10', 'in the database too');

    my $q = $t->api(GET => '/quota', key => $ten->{key})->json;
    is($q->{limits}{servers}, 10, 'the limit');
    is($q->{use}{servers}, 10, 'the use');
    is($q->{use}{memoryBytes}, 10 * 2 * 2**30, 'of memory');
    is($q->{use}{cpuMillis}, 10_000, 'of CPU');
    is($q->{use}{storageBytes}, 100 * 2**30, 'of storage');

    my $id = $t->api(GET => '/servers?limit=1', key => $ten->{key})->json->{items}[0]{id};
    $t->sql("UPDATE tenants SET max_memory = 21 * 1073741824::bigint WHERE tenant_id = '$ten->{id}'");
    is($t->api(PATCH => "/servers/$id", key => $ten->{key}, body => { spec => { resources => { memory => '3Gi' } } })->status, 200, 'a server grows into its room');
    my $r = $t->api(PATCH => "/servers/$id", key => $ten->{key}, body => { spec => { resources => { memory => '4Gi' } } });
    is($r->status, 403, 'and not beyond');
    is($r->json->{type}, 'urn:mchost:problem:quota', 'type');
    is($r->json->{errors}[0]{pointer}, '/spec/resources/memory', 'which');
    is($t->api(PATCH => "/servers/$id", key => $ten->{key}, body => { spec => { resources => { memory => '1Gi' } } })->status, 200, 'it shrinks');
    is($t->api(DELETE => "/servers/$id", key => $ten->{key})->status, 202, 'and goes');
    is($t->api(GET => '/quota', key => $ten->{key})->json->{use}{memoryBytes}, 9 * 2 * 2**30, 'what it had is free');

    $t->sql("UPDATE tenants SET max_keys = 6 WHERE tenant_id = '$ten->{id}'");
    my @k = map { $t->api_begin(POST => '/keys', key => $ten->{key}, body => { name => "k$_" }) } 1 .. 30;
    my %keys;
    $keys{ $_->receive->status }++ for @k;
    is_deeply(\%keys, { 201 => 6, 403 => 24 }, 'the quota of keys holds as well');

    my @ids = map { $_->{id} } @{ $t->api(GET => '/servers', key => $ten->{key})->json->{items} };
    my @grow = map { my $s = $_; map { $t->api_begin(PATCH => "/servers/$s", key => $ten->{key}, body => { spec => { resources => { memory => "${_}Gi" } } }) } 1, 3, 1, 2, 3 } grep { $_ ne $id } @ids;
    $_->receive for @grow;
    is($t->sql("SELECT memory FROM tenant_usage WHERE tenant_id = '$ten->{id}'"), $t->sql("SELECT sum(memory) FROM servers WHERE tenant_id = '$ten->{id}' AND deleted_at IS NULL"), 'after many changes at once the count is right');
    cmp_ok($t->sql("SELECT memory FROM tenant_usage WHERE tenant_id = '$ten->{id}'"), '<=', 21 * 2**30, 'and within the limit');
};

subtest 'a suspended tenant' => sub {
    $t->sql("UPDATE tenants SET suspended_at = now(), suspended_reason = 'unpaid' WHERE tenant_id = '$blue->{id}'");
    is($t->api(GET => '/servers', key => $blue->{key})->status, 200, 'reads');
    for ([ POST => '/servers', { name => 'x', spec => $t->spec } ], [ PATCH => "/servers/$foreign", { spec => { displayName => 'x' } } ],
        [ DELETE => "/servers/$foreign" ], [ POST => "/servers/$foreign/actions/stop" ], [ POST => '/keys', { name => 'x' } ]) {
        my $r = $t->api($_->[0], $_->[1], key => $blue->{key}, body => $_->[2]);
        is($r->status, 403, "$_->[0] $_->[1]: refused");
        is($r->json->{type}, 'urn:mchost:problem:suspended', 'because of that');
        like($r->json->{detail}, qr/unpaid/, 'says why');
    }
    is($t->sql("SELECT generation FROM servers WHERE id = '$foreign'"), '1', 'nothing was written');
    ok($t->api(GET => '/me', key => $blue->{key})->json->{tenant}{suspendedAt}, 'me says so');
    $t->sql("UPDATE tenants SET suspended_at = NULL WHERE tenant_id = '$blue->{id}'");
    is($t->api(POST => "/servers/$foreign/actions/stop", key => $blue->{key})->status, 202, 'and writes again');
};

done_testing;
