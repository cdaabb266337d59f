# Players and access lists, add-ons: parts of the spec that are changed one
# entry at a time.

use lib 't/lib';
use MCHost::Test;

my $t = MCHost::Test->new(nginx => { WORKERS => 2 });
my ($acme, $other) = map { $t->tenant($_) } qw(acme other);

sub api { my ($method, $path, %o) = @_; return $t->api($method, $path, key => $acme->{key}, %o) }
sub audit { return $t->sql("SELECT string_agg(action, ' ' ORDER BY id) FROM audit WHERE server_id = '$_[0]{id}'") }

subtest 'access lists' => sub {
    my $d = $t->server($acme, 'lists');
    my $path = "/servers/$d->{id}";
    my $p = api(GET => "$path/players");
    is($p->status, 200, 'players') or diag $p->body;
    is_deeply($p->json, { generation => 1, online => undef, max => undef, operators => [], allowList => { enabled => false, players => [] }, bans => { players => [], ips => [] } }, 'nobody yet');

    my $r = api(POST => "$path/players/Notch/op");
    is($r->status, 200, 'op') or diag $r->body;
    is($r->header('ETag'), '"2"', 'a new generation');
    is_deeply($r->json->{operators}, [ { name => 'Notch', level => 4 } ], 'is on the list');
    is(api(POST => "$path/players/Steve_1/ban")->json->{bans}{players}[0], 'Steve_1', 'ban');
    is(api(POST => "$path/players/.Bedrock/allow")->json->{allowList}{players}[0], '.Bedrock', 'allow');
    my $spec = api(GET => $path)->json;
    is($spec->{generation}, 4, 'three generations');
    is_deeply($spec->{spec}{access}, { operators => [ { name => 'Notch', level => 4 } ], bans => { players => ['Steve_1'] }, allowList => { players => ['.Bedrock'] } }, 'they are in the spec') or diag explain $spec->{spec}{access};

    is(api(POST => "$path/players/nOTCH/op")->header('ETag'), '"4"', 'who is there in another case is there');
    is(api(DELETE => "$path/players/nobody/ban")->header('ETag'), '"4"', 'who is not there is not');
    is_deeply(api(DELETE => "$path/players/STEVE_1/ban")->json->{bans}{players}, [], 'taken off, whatever the case');
    is_deeply(api(DELETE => "$path/players/Notch/op")->json->{operators}, [], 'the operator as well');
    is(api(PATCH => $path, body => { spec => { displayName => 'still valid' } })->status, 200, 'the spec is valid');

    is(api(POST => "$path/players/$_/ban")->status, 422, "no name: $_") for 'x' x 18, 'a%20b', "a'b", '%C3%A4', '..a', '-';
    is(api(POST => "$path/players/x%0ay/kick")->status, 422, 'no name to kick');
    is(api(POST => '/servers/' . uuid7() . '/players/x/op')->status, 404, 'no such server');
    is(api(GET => "$path/players/Notch/op")->status, 405, 'there is nothing to read');
    is(api(POST => "$path/players/Notch/fly")->status, 404, 'no such list');
    like(audit($d), qr/^server.create server.op server.ban server.allow /, 'audit');
    is($t->sql("SELECT detail ->> 'player' FROM audit WHERE server_id = '$d->{id}' AND action = 'server.op' ORDER BY id LIMIT 1"), 'Notch', 'of whom');
};

subtest 'many at once' => sub {
    my $d = $t->server($acme, 'crowd');
    my @c = map { $t->api_begin(POST => "/servers/$d->{id}/players/p$_/allow", key => $acme->{key}) } 1 .. 20;
    my @status = map { $_->receive->status } @c;
    my $ok = grep { $_ == 200 } @status;
    is($ok, 20, "all are done") or diag "@status";
    my $s = api(GET => "/servers/$d->{id}")->json;
    is(scalar @{ $s->{spec}{access}{allowList}{players} }, $ok, 'each that was done is there');
    is($s->{generation}, 1 + $ok, 'a generation each');
};

subtest 'a full list' => sub {
    my $d = $t->server($acme, 'full', access => { bans => { players => [ map { "b$_" } 1 .. 1000 ] } });
    is(api(POST => "/servers/$d->{id}/players/more/ban")->status, 409, 'takes no more');
    is(api(POST => "/servers/$d->{id}/players/b7/ban")->status, 200, 'but who is there is there');
};

subtest 'roles and tenants' => sub {
    my $d = $t->server($acme, 'mine');
    my ($viewer, $operator) = map { $t->key($acme, role => $_) } qw(viewer operator);
    my $addon = { name => 'map', kind => 'Plugin', source => { modrinth => { project => 'map' } } };
    for my $c ([ GET => 'players', 200, 200 ], [ POST => 'players/x/ban', 403, 200 ], [ DELETE => 'players/x/ban', 403, 200 ], [ POST => 'players/x/kick', 403, 0 ],
        [ GET => 'addons', 200, 200 ], [ POST => 'addons', 403, 403, $addon ], [ DELETE => 'addons/map', 403, 403 ], [ GET => 'addons/map', 404, 404 ]) {
        my ($method, $what, $v, $o, $body) = @$c;
        my $path = "/servers/$d->{id}/$what";
        is($t->api($method => $path, key => $viewer, body => $body)->status, $v, "viewer: $method $what");
        is($t->api($method => $path, key => $operator, body => $body)->status, $o, "operator: $method $what") if $o;
        my $r = $t->api($method => $path, key => $other->{key}, body => $body);
        is($r->status, 404, "another tenant: $method $what");
        unlike($r->body, qr/$d->{id}|$acme->{id}/, 'and nothing leaks');
    }
    is(api(GET => "/servers/$d->{id}")->json->{generation}, 3, 'the others changed nothing');
    $t->sql("UPDATE servers SET spec_owner = 'gitops' WHERE id = '$d->{id}'");
    is(api(POST => "/servers/$d->{id}/players/x/op")->status, 409, 'what belongs to Kubernetes is changed there');
    is(api(POST => "/servers/$d->{id}/addons", body => $addon)->status, 409, 'add-ons too');
};

subtest 'add-ons' => sub {
    my $d = $t->server($acme, 'addons');
    my $path = "/servers/$d->{id}/addons";
    my $addon = { name => 'map', kind => 'Plugin', source => { modrinth => { project => 'bluemap', version => '5.0' } } };

    is_deeply(api(GET => $path)->json, { items => [], next => undef }, 'none');
    my $r = api(POST => $path, body => $addon, headers => { 'Idempotency-Key' => 'a1' });
    is($r->status, 201, 'added') or diag $r->body;
    is($r->header('Location'), "/api/v1$path/map", 'Location');
    is_deeply($r->json, $addon, 'as it was given');
    my $again = api(POST => $path, body => $addon, headers => { 'Idempotency-Key' => 'a1' });
    is($again->status, 201, 'once more with the same key');
    is($again->header('Location'), $r->header('Location'), 'the same place');
    is(api(POST => $path, body => $addon)->status, 409, 'its name is taken');
    is_deeply(api(GET => "$path/map")->json, $addon, 'read');
    is_deeply(api(GET => $path)->json->{items}, [$addon], 'listed');
    is_deeply(api(GET => "/servers/$d->{id}")->json->{spec}{addons}, [$addon], 'it is in the spec');
    is(api(GET => "/servers/$d->{id}")->json->{generation}, 2, 'of a new generation');

    my $bad = api(POST => $path, body => { name => '/x', kind => 'Thing', source => { url => 'http://example.org/a.jar' }, more => 1 });
    is($bad->status, 422, 'all that is wrong');
    is(join(' ', sort map { $_->{pointer} } @{ $bad->json->{errors} }), '/kind /more /name /sha512', 'at once, with pointers into the body') or diag $bad->body;
    is(api(POST => $path, body => $_)->status, 422, 'not an add-on') for {}, [], { name => 5 };
    is(api(DELETE => "$path/none")->status, 404, 'none of that name');
    is(api(DELETE => "$path/$_")->status, 404, "nor of this: $_") for '%ff', 'x' x 100, "'";
    is(api(DELETE => "$path/map")->status, 204, 'removed');
    is(api(GET => "$path/map")->status, 404, 'gone');
    is_deeply(api(GET => $path)->json->{items}, [], 'not listed');
    is(audit($d), 'server.create server.addon.create server.addon.delete', 'audit');

    my $full = $t->server($acme, 'fulladdons', addons => [ map { { %$addon, name => "a$_" } } 1 .. 128 ]);
    is(api(POST => "/servers/$full->{id}/addons", body => $addon)->status, 409, 'not more than may be');
};

done_testing;
