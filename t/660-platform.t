# The platform's side: its keys, tenants with quotas, suspension, statistics,
# and the wall between operators and tenants.

use lib 't/lib';
use MCHost::Test;

my $t = MCHost::Test->new;
my $red = $t->tenant('red');

sub operator {
    my $id = uuid7();
    (my $token = (new_token($id))[0]) =~ s/^mch/mcp/;
    $t->sql("INSERT INTO platform_keys (id, name, key_hash) VALUES ('$id', 'first', '" . Digest::SHA::sha256_hex($token) . "')");
    return $token;
}

my $op = operator();

subtest 'tenants' => sub {
    my $r = $t->api(POST => '/platform/tenants', key => $op, body => { name => 'shop', quota => { servers => 2, requestsPerMinute => 1000 } });
    is($r->status, 201, 'made') or diag $r->body;
    my $d = $r->json;
    is($r->header('Location'), "/api/v1/platform/tenants/$d->{id}", 'Location');
    is($d->{quota}{servers}, 2, 'its quota');
    is($d->{quota}{keys}, 100, 'a default');
    my $key = $d->{ownerKey};
    is($t->api(GET => '/me', key => $key)->json->{tenant}{id}, $d->{id}, 'its first key');
    is($t->api(POST => '/servers', key => $key, body => { name => "s$_", spec => $t->spec })->status, $_ < 3 ? 201 : 403, "server $_") for 1 .. 3;

    $r = $t->api(PATCH => "/platform/tenants/$d->{id}", key => $op, body => { quota => { servers => 3 } });
    is($r->status, 200, 'changed') or diag $r->body;
    is($r->json->{quota}{servers}, 3, 'more servers');
    is($r->json->{quota}{requestsPerMinute}, 1000, 'the rest as it was');
    is($r->json->{use}{servers}, 2, 'its use');
    is($t->api(POST => '/servers', key => $key, body => { name => 's3', spec => $t->spec })->status, 201, 'one more');

    $r = $t->api(PATCH => "/platform/tenants/$d->{id}", key => $op, body => { suspended => JSON::PP::true(), suspendedReason => 'unpaid' });
    is($r->json->{suspended}, 1, 'suspended');
    like($t->api(POST => '/servers', key => $key, body => { name => 's4', spec => $t->spec })->json->{detail}, qr/unpaid/, 'read-only, with the reason');
    is($t->api(GET => '/servers', key => $key)->status, 200, 'reads');
    is($t->api(DELETE => "/platform/tenants/$d->{id}", key => $op)->status, 409, 'not deleted while it has servers');
    $r = $t->api(PATCH => "/platform/tenants/$d->{id}", key => $op, body => { suspended => JSON::PP::false() });
    is($r->json->{suspendedReason}, undef, 'no more');

    for (@{ $t->api(GET => '/servers', key => $key)->json->{items} }) {
        is($t->api(DELETE => "/servers/$_->{id}", key => $key)->status, 202, 'a server goes');
    }
    is($t->api(DELETE => "/platform/tenants/$d->{id}", key => $op)->status, 204, 'deleted');
    is($t->api(GET => '/me', key => $key)->status, 401, 'its keys are dead');
    is($t->api(GET => "/platform/tenants/$d->{id}", key => $op)->status, 404, 'it is not there');
    is($t->sql('SELECT count(*) FROM platform_audit'), '5', 'all of it is in the audit');
};

subtest 'lists' => sub {
    my %id = map { $_ => $t->api(POST => '/platform/tenants', key => $op, body => { name => $_ })->json->{id} } qw(alpha beta gamma);
    my $l = $t->api(GET => '/platform/tenants?limit=2', key => $op)->json;
    is(scalar @{ $l->{items} }, 2, 'two');
    my $m = $t->api(GET => "/platform/tenants?after=$l->{next}", key => $op)->json;
    is(scalar @{ $m->{items} }, 2, 'and the others');
    is_deeply([ map { $_->{name} } @{ $t->api(GET => '/platform/tenants?q=al', key => $op)->json->{items} } ], ['alpha'], 'search');
};

subtest 'what is not valid' => sub {
    for ([ {}, '/name' ], [ { name => 'x', quota => { servers => -1 } }, '/quota/servers' ], [ { name => 'x', quota => { ram => 1 } }, '/quota/ram' ], [ { name => 'x', id => 1 }, '/id' ]) {
        my $r = $t->api(POST => '/platform/tenants', key => $op, body => $_->[0]);
        is($r->status, 422, "$_->[1]");
        is($r->json->{errors}[0]{pointer}, $_->[1], 'where');
    }
    is($t->api(PATCH => "/platform/tenants/$red->{id}", key => $op, body => {})->status, 422, 'nothing to change');
    is($t->api(PATCH => '/platform/tenants/' . uuid7(), key => $op, body => { name => 'x' })->status, 404, 'no such tenant');
    is($t->api(GET => '/platform/tenants/x', key => $op)->status, 404, 'no id');
};

subtest 'keys' => sub {
    my $r = $t->api(POST => '/platform/keys', key => $op, body => { name => 'billing' });
    is($r->status, 201, 'made');
    my $k = $r->json;
    like($k->{secret}, qr/^mcp_/, 'its secret');
    is($t->api(GET => '/platform/stats', key => $k->{secret})->status, 200, 'it opens');
    is(scalar @{ $t->api(GET => '/platform/keys', key => $op)->json->{items} }, 2, 'in the list');
    is($t->api(DELETE => "/platform/keys/$k->{id}", key => $op)->status, 204, 'revoked');
    is($t->api(GET => '/platform/stats', key => $k->{secret})->status, 401, 'dead at once');
    is($t->api(DELETE => "/platform/keys/$k->{id}", key => $op)->status, 404, 'gone');
};

subtest 'statistics' => sub {
    my $s = $t->api(GET => '/platform/stats', key => $op)->json;
    is($s->{tenants}{total}, 4, 'tenants');
    is_deeply([ map { $_->{name} } @{ $s->{pools} } ], [ 'main', 'platform' ], 'pools');
    wait_for { $t->api(GET => '/platform/stats', key => $op)->json->{pools}[0]{idle} == 2 } 'the pool counted';
    my $ws = $t->ws(key => $red->{key});
    wait_for { $t->api(GET => '/platform/stats', key => $op)->json->{sockets} == 1 } 'a socket counted';
    pass('sockets');
};

subtest 'the wall' => sub {
    is($t->api(GET => '/servers', key => $op)->status, 403, 'an operator is of no tenant');
    is($t->api(GET => '/me', key => $op)->status, 403, 'nor anybody there');
    for (qw(tenants keys stats)) {
        is($t->api(GET => "/platform/$_", key => $red->{key})->status, 403, "a tenant's owner: /platform/$_");
        is($t->api(GET => "/platform/$_")->status, 401, 'nobody');
    }
    (my $forged = $red->{key}) =~ s/^mch/mcp/;
    is($t->api(GET => '/platform/tenants', key => $forged)->status, 401, 'a forged one');

    my $as = sub { $t->sql($_[0], user => 'mchost_platform') };
    is($as->("SELECT count(*) FROM $_"), '0', "$_: nothing without a key") for qw(tenants tenant_usage api_keys members platform_keys platform_audit);
    ok(!eval { $as->("SELECT count(*) FROM $_"); 1 }, "$_: never") for qw(servers server_status audit sessions);
    ok(!eval { $t->sql("SELECT count(*) FROM platform_keys", user => 'mchost_api'); 1 }, "a tenant's role sees no platform key");
    ok(!eval { $t->sql("SELECT set_config('app.tenant_id', '$red->{id}', false), set_config('app.platform_key', 'x', false); UPDATE tenants SET max_servers = 1000", user => 'mchost_api'); 1 }, 'and raises no quota');
};

done_testing;
