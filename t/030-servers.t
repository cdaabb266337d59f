# Servers over REST: create, read, list, patch, delete, actions.

use lib 't/lib';
use MCHost::Test;

my $t = MCHost::Test->new(nginx => { WORKERS => 2 });
my $acme = $t->tenant('acme');
my $uuid = qr/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
my $time = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)$/;

sub api { my ($method, $path, %o) = @_; return $t->api($method, $path, key => $acme->{key}, %o) }

subtest 'create and read' => sub {
    my $r = api(POST => '/servers', body => { name => 'lobby', spec => $t->spec(displayName => "Lobby \"\x{e4}\" \x{1f3ae}") });
    is($r->status, 201, 'created') or diag $r->body;
    my $d = $r->json;
    like($d->{id}, $uuid, 'a UUIDv7');
    is($r->header('Location'), "/api/v1/servers/$d->{id}", 'Location') or diag $r->header('Location');
    is($r->header('ETag'), '"1"', 'ETag is the generation');
    like($r->header('Content-Type'), qr{^application/json}, 'JSON');
    is($d->{tenantId}, $acme->{id}, 'tenantId');
    is($d->{name}, 'lobby', 'name');
    is($d->{generation}, 1, 'generation');
    like($d->{createdAt}, $time, 'createdAt');
    like($d->{updatedAt}, $time, 'updatedAt');
    is($d->{specOwner}, 'db', 'specOwner');
    is($d->{spec}{software}{type}, 'demo', 'spec');
    is($d->{status}{state}, 'Pending', 'status');
    is($d->{spec}{displayName}, "Lobby \"\x{e4}\" \x{1f3ae}", 'text comes back as it went in');

    my $g = api(GET => "/servers/$d->{id}");
    is($g->status, 200, 'read');
    is_deeply($g->json, $d, 'the same document');
    is($g->header('ETag'), '"1"', 'the same ETag');
    is(api(GET => "/servers/\U$d->{id}")->status, 200, 'an id is case-insensitive');
    is(api(HEAD => "/servers/$d->{id}")->status, 200, 'HEAD');
    is(api(GET => '/servers/' . uuid7())->status, 404, 'an unknown id');
    is(api(GET => '/servers/nonsense')->status, 404, 'an id that is none');

    is($t->sql("SELECT action || ' ' || (key_id IS NOT NULL) FROM audit WHERE server_id = '$d->{id}'"), 'server.create true', 'an audit row');
};

subtest 'defaults of the schema are filled in' => sub {
    my $d = $t->server($acme, 'defaults');
    is($d->{spec}{jvm}{heapPercent} // 75, 75, 'heapPercent');
    is($d->{spec}{runPolicy}, 'Always', 'runPolicy');
};

subtest 'names' => sub {
    my %status = ('a' => 201, 'a-1' => 201, 'x' x 63 => 201, '' => 422, '-a' => 422, 'a-' => 422, 'A' => 422, 'a.b' => 422, 'a b' => 422,
        'x' x 64 => 422, "\x{e4}" => 422, '../x' => 422, 'a/b' => 422, '0' => 201, 'a--b' => 201);

    for my $name (sort keys %status) {
        my $r = api(POST => '/servers', body => { name => $name, spec => $t->spec });
        is($r->status, $status{$name}, "name \"$name\"" =~ s/\x{e4}/a-umlaut/r) or diag $r->body;
        is($r->json->{errors}[0]{pointer}, '/name', '… points at the name') if $status{$name} == 422;
    }

    my $r = api(POST => '/servers', body => { name => 'lobby', spec => $t->spec });
    is($r->status, 409, 'a name that is taken');
    like($r->header('Content-Type'), qr{^application/problem\+json}, 'a problem document');
};

subtest 'conditional requests' => sub {
    my $d = $t->server($acme, 'cond');
    my $path = "/servers/$d->{id}";

    is(api(GET => $path, headers => { 'If-None-Match' => '"1"' })->status, 304, 'If-None-Match with the ETag');
    is(api(GET => $path, headers => { 'If-None-Match' => 'W/"1"' })->status, 304, 'weak comparison');
    is(api(GET => $path, headers => { 'If-None-Match' => '"0", "1"' })->status, 304, 'a list');
    is(api(GET => $path, headers => { 'If-None-Match' => '*' })->status, 304, '*');
    my $r = api(GET => $path, headers => { 'If-None-Match' => '"7"' });
    is($r->status, 200, 'another ETag');
    is(length(api(GET => $path, headers => { 'If-None-Match' => '"1"' })->body), 0, '304 has no body');

    is(api(PATCH => $path, body => { spec => { displayName => 'x' } }, headers => { 'If-Match' => '"2"' })->status, 412, 'with a stale one');
    is(api(PATCH => $path, body => { spec => { displayName => 'x' } }, headers => { 'If-Match' => 'x' })->status, 412, 'with nonsense');
    $r = api(PATCH => $path, body => { spec => { displayName => 'x' } }, headers => { 'If-Match' => '"1"' });
    is($r->status, 200, 'with the right one');
    is($r->header('ETag'), '"2"', 'a new ETag');
    is($r->json->{generation}, 2, 'a new generation');
    is($r->json->{spec}{displayName}, 'x', 'the change');
    is($r->json->{spec}{software}{version}, '1.20.4', 'the rest is as it was');
    is(api(PATCH => $path, body => { spec => { displayName => 'y' } }, headers => { 'If-Match' => '"1"' })->status, 412, 'the old one is stale now');
    is(api(GET => $path)->json->{spec}{displayName}, 'x', 'nothing was written');
    is(api(PATCH => $path, body => { spec => { displayName => undef } }, headers => { 'If-Match' => '"2"' })->json->{spec}{displayName}, undef, 'null removes');
    is(api(PATCH => $path, body => { spec => { software => undef } }, headers => { 'If-Match' => '"3"' })->status, 422, 'but not what is required');
    is(api(PATCH => $path, body => { name => 'other' }, headers => { 'If-Match' => '"3"' })->status, 422, 'the name stays');
    is(api(PATCH => $path, body => { spec => {}, status => {} }, headers => { 'If-Match' => '"3"' })->status, 422, 'status is not written by clients');
    is(api(PATCH => $path, body => { spec => { displayName => 'z' } })->header('ETag'), '"4"', 'without If-Match it holds for what is there');
    is(api(PATCH => "/servers/" . uuid7(), body => { spec => {} }, headers => { 'If-Match' => '"1"' })->status, 404, 'no such server');
};

subtest 'two patches at once' => sub {
    my $d = $t->server($acme, 'race');
    my @c = map { $t->api_begin(PATCH => "/servers/$d->{id}", key => $acme->{key}, body => { spec => { displayName => "n$_" } },
            headers => { 'If-Match' => '"1"' }) } 1 .. 10;
    my @status = map { $_->receive->status } @c;
    is(scalar(grep { $_ == 200 } @status), 1, 'one wins');
    is(scalar(grep { $_ == 412 } @status), 9, 'the others are stale') or diag "@status";
    is(api(GET => "/servers/$d->{id}")->json->{generation}, 2, 'one change');
};

subtest 'lists and pages' => sub {
    my $tenant = $t->tenant('pages');
    my @ids = map { $t->server($tenant, "s$_")->{id} } 1 .. 7;
    my $get = sub { my $r = $t->api(GET => "/servers$_[0]", key => $tenant->{key}); return wantarray ? ($r->json, $r) : $r->json };

    my ($all, $r) = $get->('');
    is($r->status, 200, 'list');
    is_deeply([ map { $_->{id} } @{ $all->{items} } ], [ sort @ids ], 'all, in a stable order');
    ok(exists $all->{next} && !defined $all->{next}, 'no further page');

    my (@got, $after, $pages);
    do {
        my $p = $get->('?limit=3' . ($after ? "&after=$after" : ''));
        push @got, map { $_->{id} } @{ $p->{items} };
        cmp_ok(scalar @{ $p->{items} }, '<=', 3, 'at most the limit');
        $after = $p->{next};
        $pages++;
    } while (defined $after && $pages < 10);
    is_deeply(\@got, [ sort @ids ], 'all pages together');
    is($pages, 3, 'three of them');
    is($get->('?limit=7')->{next}, undef, 'an exact page is the last');

    for my $q (qw(?limit=0 ?limit=201 ?limit=x ?limit=-1 ?limit= ?after=nonsense ?limit=1;drop ?unknown=1 ?limit=99999999999999999999)) {
        my $bad = $t->api(GET => "/servers$q", key => $tenant->{key});
        like($bad->status, qr/^(400|422)$/, $q) or diag $bad->body;
    }
    is($t->api(GET => '/servers?limit=200', key => $tenant->{key})->status, 200, '?limit=200');
    is_deeply($t->api(GET => '/servers', key => $t->tenant('empty')->{key})->json, { items => [], next => undef }, 'an empty list');
};

subtest 'quota' => sub {
    my $tenant = $t->tenant('small', max_servers => 3);
    my @c = map { $t->api_begin(POST => '/servers', key => $tenant->{key}, body => { name => "s$_", spec => $t->spec }) } 1 .. 12;
    my @r = map { $_->receive } @c;
    my @ok = grep { $_->status == 201 } @r;
    my ($no) = grep { $_->status != 201 } @r;
    is(scalar @ok, 3, 'however many at once, three are made');
    is($no->status, 403, 'the others are refused') or diag $no->body;
    like($no->body, qr/quota|limit/i, 'and told why');
    is($t->sql("SELECT count(*) FROM servers WHERE tenant_id = '$tenant->{id}'"), '3', 'three rows');
    is($t->sql("SELECT servers FROM tenant_usage WHERE tenant_id = '$tenant->{id}'"), '3', 'counted');

    is($t->api(POST => '/servers', key => $tenant->{key}, body => { name => $ok[0]->json->{name}, spec => $t->spec })->status =~ /^4/, 1, 'a taken name in a full tenant');
    my $gone = $t->api(DELETE => '/servers/' . $ok[0]->json->{id}, key => $tenant->{key});
    like($gone->status, qr/^20[024]$/, 'delete one');
    is($t->api(POST => '/servers', key => $tenant->{key}, body => { name => 'again', spec => $t->spec })->status, 201, 'there is room for one');
    is($t->api(POST => '/servers', key => $tenant->{key}, body => { name => 'more', spec => $t->spec })->status, 403, 'and no more');
};

subtest 'a refused name does not use up quota' => sub {
    my $tenant = $t->tenant('taken', max_servers => 2);
    $t->server($tenant, 'a');
    is($t->api(POST => '/servers', key => $tenant->{key}, body => { name => 'a', spec => $t->spec })->status, 409, 'taken') for 1 .. 3;
    is($t->api(POST => '/servers', key => $tenant->{key}, body => { name => 'b', spec => $t->spec })->status, 201, 'still room');
};

subtest 'actions' => sub {
    my $d = $t->server($acme, 'act');
    my $path = "/servers/$d->{id}";

    my $r = api(POST => "$path/actions/stop");
    is($r->status, 202, 'stop');
    is($r->json->{action}, 'stop', 'the operation says what');
    is($r->json->{server}, $d->{id}, 'of which server');
    like($r->json->{id}, $uuid, 'its id');
    is(api(GET => $path)->json->{spec}{runPolicy}, 'Stopped', 'the spec follows');
    is(api(POST => "$path/actions/restart")->status, 409, 'a stopped server is not restarted');
    is(api(POST => "$path/actions/start")->status, 202, 'start');
    is(api(GET => $path)->json->{spec}{runPolicy}, 'Always', 'the spec follows');
    my $one = api(POST => "$path/actions/restart")->json;
    is(api(GET => $path)->json->{spec}{restartToken}, $one->{id}, 'restart sets the token');
    is(api(POST => "$path/actions/explode")->status, 404, 'an unknown action');
    is(api(POST => '/servers/' . uuid7() . '/actions/start')->status, 404, 'an unknown server');
    is(api(GET => $path)->json->{generation}, 4, 'each is a generation');
    is($t->sql("SELECT string_agg(action, ' ' ORDER BY id) FROM audit WHERE server_id = '$d->{id}'"),
        'server.create server.stop server.start server.restart', 'each is in the audit');
};

subtest 'an action wakes the reconciler' => sub {
    my $sub = $t->redis->client;
    $sub->call('SUBSCRIBE', 'mchost:wake');
    my $d = $t->server($acme, 'wake');
    is_deeply($sub->message, [ 'mchost:wake', "$acme->{id} $d->{id}" ], 'create');
    api(POST => "/servers/$d->{id}/actions/stop");
    is_deeply($sub->message, [ 'mchost:wake', "$acme->{id} $d->{id}" ], 'stop');
    api(PATCH => "/servers/$d->{id}", body => { spec => { displayName => 'z' } }, headers => { 'If-Match' => '"2"' });
    is_deeply($sub->message, [ 'mchost:wake', "$acme->{id} $d->{id}" ], 'patch');
    api(DELETE => "/servers/$d->{id}");
    is_deeply($sub->message, [ 'mchost:wake', "$acme->{id} $d->{id}" ], 'delete');
};

subtest 'delete' => sub {
    my $d = $t->server($acme, 'del');
    my $path = "/servers/$d->{id}";

    is(api(DELETE => $path, headers => { 'If-Match' => '"9"' })->status, 412, 'stale If-Match');
    is(api(DELETE => "$path?purge=maybe")->status =~ /^4(00|22)$/, 1, 'a purge that is no boolean');
    my $r = api(DELETE => $path, headers => { 'If-Match' => '"1"' });
    like($r->status, qr/^20[02]$/, 'deleted') or diag $r->body;
    ok(defined $r->json->{deletedAt}, 'a tombstone');
    is(api(GET => $path)->status, 200, 'seen until its containers are gone');
    like(api(DELETE => $path)->status, qr/^(20[024]|404|409)$/, 'again');
    like(api(PATCH => $path, body => { spec => { displayName => 'x' } }, headers => { 'If-Match' => '"2"' })->status, qr/^(404|409)$/, 'a tombstone is not changed');
    like(api(POST => "$path/actions/start")->status, qr/^(404|409)$/, 'nor started');
    is(api(POST => '/servers', body => { name => 'del', spec => $t->spec })->status, 201, 'its name is free');
    is($t->sql("SELECT purge FROM servers WHERE id = '$d->{id}'"), 'f', 'the world was not asked for');

    my $p = $t->server($acme, 'purge');
    like(api(DELETE => "/servers/$p->{id}?purge=true")->status, qr/^20[02]$/, 'purge');
    is($t->sql("SELECT purge FROM servers WHERE id = '$p->{id}'"), 't', 'is remembered');

    $t->sql("INSERT INTO server_status (tenant_id, server_id, observed_generation, status, finalized_at)"
        . " VALUES ('$acme->{id}', '$d->{id}', 2, '{\"state\": \"Deleting\"}', now())");
    is(api(GET => $path)->status, 404, 'once finalized it is gone');
    is(api(DELETE => '/servers/' . uuid7())->status, 404, 'an unknown server');
};

subtest 'request ids' => sub {
    my $r = api(GET => '/me', headers => { 'X-Request-Id' => 'abc-123_x.y' });
    is($r->header('X-Request-Id'), 'abc-123_x.y', 'echoed');
    $r = api(GET => '/me');
    ok(length($r->header('X-Request-Id') // '') >= 16, 'made');
    isnt(api(GET => '/me')->header('X-Request-Id'), $r->header('X-Request-Id'), 'each its own');
    $r = api(GET => '/servers/' . uuid7(), headers => { 'X-Request-Id' => 'find-me' });
    is($r->json->{requestId}, 'find-me', 'in a problem document');
    for my $bad ('x' x 500, "a\tb", 'a"b', '') {
        $r = api(GET => '/me', headers => { 'X-Request-Id' => $bad });
        is($r->status, 200, 'a bad one does no harm');
        isnt($r->header('X-Request-Id'), $bad, 'and is replaced');
    }
    $r = api(POST => '/servers', body => { name => 'traced', spec => $t->spec }, headers => { 'X-Request-Id' => 'trace-1' });
    is($t->sql("SELECT request_id FROM audit WHERE server_id = '" . $r->json->{id} . "'"), 'trace-1', 'in the audit');
};

subtest 'EULA' => sub {
    my $spec = { software => { type => 'vanilla', version => '1.20.4' } };
    my $r = api(POST => '/servers', body => { name => 'eula', spec => $spec });
    is($r->status, 422, 'vanilla without consent');
    ok((grep { $_->{pointer} =~ m{^/spec/eula} } @{ $r->json->{errors} }), 'points at the EULA') or diag $r->body;
    is(api(POST => '/servers', body => { name => 'eula', spec => { %$spec, eula => { accepted => false } } })->status, 422, 'refused consent');
    is(api(POST => '/servers', body => { name => 'eula', spec => { %$spec, eula => { accepted => true, acceptedBy => 'me' } } })->status, 201, 'consent');
};

done_testing;
