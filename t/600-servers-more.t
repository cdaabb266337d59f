# Servers over REST, continued: PUT, filters, what may not change, keys that
# make a POST safe to repeat, operations.

use lib 't/lib';
use MCHost::Test;

my $t = MCHost::Test->new(nginx => { WORKERS => 2 });
my ($acme, $other) = map { $t->tenant($_) } qw(acme other);

sub api { my ($method, $path, %o) = @_; return $t->api($method, $path, key => $acme->{key}, %o) }
sub pointers { join ' ', sort map { $_->{pointer} } @{ $_[0]->json->{errors} } }
sub status_of { my ($d, $observed, $status) = @_;
    $t->sql("INSERT INTO server_status (tenant_id, server_id, observed_generation, status)"
        . " VALUES ('$d->{tenantId}', '$d->{id}', $observed, '" . JSON::PP::encode_json($status) . "')"
        . " ON CONFLICT (tenant_id, server_id) DO UPDATE SET observed_generation = excluded.observed_generation, status = excluded.status") }

subtest 'PUT' => sub {
    my $d = $t->server($acme, 'put', displayName => 'one');
    my $path = "/servers/$d->{id}";
    my %match = (headers => { 'If-Match' => '"1"' });

    my $r = api(PUT => $path, body => { name => 'put', spec => $t->spec });
    is($r->status, 428, 'without If-Match') or diag $r->body;
    is(api(GET => $path)->json->{generation}, 1, 'nothing was written');
    $r = api(PUT => $path, body => { name => 'put', spec => $t->spec(runPolicy => 'Stopped') }, %match);
    is($r->status, 200, 'replaced') or diag $r->body;
    is($r->header('ETag'), '"2"', 'a new generation');
    is($r->json->{spec}{displayName}, undef, 'what is not said is gone');
    is($r->json->{spec}{runPolicy}, 'Stopped', 'what is said is there');
    is(api(PUT => $path, body => { name => 'put', spec => $t->spec }, %match)->status, 412, 'a stale If-Match');
    $r = api(PUT => $path, body => { name => 'put', spec => $t->spec(runPolicy => 'Stopped') }, headers => { 'If-Match' => '"2"' });
    is($r->header('ETag'), '"2"', 'the same again is no new generation');
    is(api(PUT => $path, body => { name => 'put', spec => $t->spec }, headers => { 'If-Match' => '*' })->status, 200, '* is any');
    $r = api(PUT => $path, body => { name => 'new', spec => { software => { type => 'x' } }, more => 1 }, headers => { 'If-Match' => '*' });
    is($r->status, 422, 'all that is wrong');
    is(pointers($r), '/more /name /spec/software/type', 'at once') or diag $r->body;
    is(api(PUT => '/servers/' . uuid7(), body => { name => 'x', spec => $t->spec }, headers => { 'If-Match' => '*' })->status, 404, 'PUT makes no server');
    is(api(PUT => '/servers', body => {})->status, 405, 'nor a list');
    is($t->api(PUT => $path, key => $other->{key}, body => { name => 'put', spec => $t->spec }, headers => { 'If-Match' => '*' })->status, 404, 'not of another tenant');
    is($t->api(PUT => $path, key => $t->key($acme, role => 'operator'), body => { name => 'put', spec => $t->spec }, headers => { 'If-Match' => '*' })->status, 403, 'not for an operator');
    like(api(OPTIONS => $path)->header('Allow'), qr/GET, HEAD.*PUT.*PATCH.*DELETE/, 'Allow');
    is($t->sql("SELECT string_agg(action, ' ' ORDER BY id) FROM audit WHERE server_id = '$d->{id}'"), 'server.create server.update server.update', 'audit');
};

subtest 'what cannot change' => sub {
    my $d = $t->server($acme, 'keep', storage => { size => '10Gi', storageClassName => 'fast' });
    my $path = "/servers/$d->{id}";

    my $r = api(PATCH => $path, body => { name => 'other', spec => { storage => { size => '9Gi', storageClassName => 'slow' }, jvm => { heapPercent => 1000 } } });
    is($r->status, 422, 'refused');
    is(pointers($r), '/name /spec/jvm/heapPercent /spec/storage/size /spec/storage/storageClassName', 'each with its place') or diag $r->body;
    is(api(PATCH => $path, body => { spec => { storage => undef } })->status, 422, 'nor by leaving it out');
    is(api(PATCH => $path, body => { spec => { storage => { size => '10240Mi' } } })->status, 200, 'the same in other words');
    is(api(PATCH => $path, body => { spec => { storage => { size => '1Ti' } } })->json->{spec}{storage}{size}, '1Ti', 'it grows');
};

subtest 'filters' => sub {
    my $who = $t->tenant('filters');
    my %id = map { $_ => $t->server($who, $_, displayName => "The \U$_\E of 100%_")->{id} } qw(lobby creative survival);
    my $d = $t->api(GET => "/servers/$id{lobby}", key => $who->{key})->json;
    status_of($d, 1, { state => 'Running' });
    my $names = sub { my $r = $t->api(GET => "/servers?$_[0]", key => $who->{key}); return $r->status == 200 ? join ' ', map { $_->{name} } @{ $r->json->{items} } : $r->status };

    is($names->('state=Running'), 'lobby', 'by state');
    is($names->('state=Pending'), 'creative survival', 'without a status: Pending') ;
    is($names->('state=Failed'), '', 'none');
    is($names->('state=nonsense'), 400, 'no state');
    is($names->('q=v'), 'creative survival', 'by name');
    is($names->('q=THE%20surv'), 'survival', 'by display name, whatever the case');
    is($names->('q=%25_'), 'lobby creative survival', 'a text is no pattern');
    is($names->('q=%27%20OR%201=1--'), '', 'nor SQL');
    is($names->('q='), 'lobby creative survival', 'an empty text');
    is($names->('q=%00'), 400, 'NUL');
    is($names->('q=%ff'), 400, 'no UTF-8');
    is($names->('q=' . 'x' x 300), 400, 'too long');
    is($names->('state=Pending&q=creat'), 'creative', 'both');
    is($names->('q=a&q=b'), 400, 'twice');
    my $r = $t->api(GET => '/servers?q=v&limit=1', key => $who->{key})->json;
    is($r->{items}[0]{name}, 'creative', 'a page');
    is($names->("q=v&after=$r->{next}"), 'survival', 'and the next one');
    is($t->api(GET => '/servers?q=lobby', key => $other->{key})->json->{items}[0], undef, "not another tenant's");
};

subtest 'Idempotency-Key' => sub {
    my $who = $t->tenant('once');
    my $post = sub { my ($key, $path, $body, %o) = @_; $t->api(POST => $path, key => $o{key} // $who->{key}, body => $body, headers => { 'Idempotency-Key' => $key }) };
    my $body = { name => 'one', spec => $t->spec };

    my $first = $post->('k-1', '/servers', $body);
    is($first->status, 201, 'made');
    is($first->header('Idempotency-Replayed'), undef, 'for the first time');
    my $again = $post->('k-1', '/servers', $body);
    is($again->status, 201, 'again') or diag $again->body;
    is_deeply($again->json, $first->json, 'the same document');
    is($again->header($_), $first->header($_), "the same $_") for qw(Location ETag Content-Type);
    is($again->header('Idempotency-Replayed'), 'true', 'which is told');
    is($t->sql("SELECT count(*) FROM servers WHERE tenant_id = '$who->{id}'"), 1, 'one server');
    is($t->sql("SELECT servers FROM tenant_usage WHERE tenant_id = '$who->{id}'"), 1, 'counted once');
    is($t->sql("SELECT count(*) FROM audit WHERE tenant_id = '$who->{id}'"), 1, 'one audit row');

    my $r = $post->('k-1', '/servers', { name => 'two', spec => $t->spec });
    is($r->status, 422, 'the same key for another body');
    is($r->json->{errors}[0]{code}, 'idempotency_key_reused', 'says why');
    is($post->('k-1', '/servers/' . $first->json->{id} . '/actions/stop')->status, 422, 'or for another path');
    is($t->sql("SELECT count(*) FROM servers WHERE tenant_id = '$who->{id}'"), 1, 'did nothing');
    is($post->('k-1', '/servers', { name => 'two', spec => $t->spec }, key => $other->{key})->status, 201, "another tenant's key is another one");
    is($post->('k-1', '/servers', $body, key => $t->key($who, role => 'viewer'))->status, 403, 'a replay needs the role as well');
    is($post->($_, '/servers', $body)->status, 400, 'no key: ' . substr $_, 0, 10) for 'x' x 256, 'a b', "\xe4";

    is($post->('k-2', '/servers', $body)->status, 409, 'a refusal by the database');
    is($post->('k-2', '/servers', { name => 'three', spec => $t->spec })->status, 201, 'leaves no trace');
    is($post->('k-3', '/servers', { name => '-', spec => $t->spec })->status, 422, 'an invalid one');
    is($post->('k-3', '/servers', { name => 'four', spec => $t->spec })->status, 201, 'neither');
    is($post->('k-4', '/servers/' . uuid7() . '/actions/stop')->status, 404, 'an unknown server');
    is($post->('k-4', '/servers/' . $first->json->{id} . '/actions/stop')->status, 202, 'neither');

    my $one = $post->('k-5', '/servers/' . $first->json->{id} . '/actions/start');
    my $two = $post->('k-5', '/servers/' . $first->json->{id} . '/actions/start');
    is_deeply($two->json, $one->json, 'an action');
    is($two->header('Location'), $one->header('Location'), 'one operation');
    is($t->sql("SELECT generation FROM servers WHERE id = '" . $first->json->{id} . "'"), 3, 'carried out once');

    my @c = map { $t->api_begin(POST => '/servers', key => $who->{key}, body => { name => 'parallel', spec => $t->spec }, headers => { 'Idempotency-Key' => 'par' }) } 1 .. 20;
    my @r = map { $_->receive } @c;
    is((grep { $_->status == 201 } @r) + 0, 20, 'twenty at once are all answered') or diag join ' ', map { $_->status } @r;
    is(scalar(keys %{ { map { $_->json->{id} => 1 } @r } }), 1, 'with one server');
    is((grep { !$_->header('Idempotency-Replayed') } @r) + 0, 1, 'that one of them made');

    $t->sql("UPDATE idempotency_keys SET expires_at = now() - interval '1 s' WHERE tenant_id = '$who->{id}' AND key IN ('k-1', 'k-5')");
    is($post->('k-1', '/servers', { name => 'later', spec => $t->spec })->status, 201, 'after a day the key is free');
    is($t->sql("SELECT count(*) FROM idempotency_keys WHERE tenant_id = '$who->{id}' AND expires_at <= now()"), 0, 'and the old ones are removed');
    is($t->sql("SELECT count(*) FROM idempotency_keys WHERE expires_at > now() + interval '25 h'"), 0, 'none is kept for longer');
};

subtest 'operations' => sub {
    my $d = $t->server($acme, 'op');
    my $r = api(POST => "/servers/$d->{id}/actions/stop");
    is($r->status, 202, 'stop');
    my $where = $r->header('Location');
    is($where, "/api/v1/servers/$d->{id}/operations/" . $r->json->{id}, 'Location');
    my $state = sub { my $g = api(GET => "/$where"); return $g->status == 200 ? $g->json->{state} : $g->status };

    is($state->(), 'Pending', 'not seen yet');
    is_deeply({ %{ api(GET => "/$where")->json }, message => undef }, { %{ $r->json }, message => undef }, 'the same operation');
    status_of($d, 1, { state => 'Running', conditions => [ { type => 'Progressing', status => 'False' } ] });
    is($state->(), 'Pending', 'an older generation says nothing');
    status_of($d, 2, { state => 'Stopping', conditions => [ { type => 'Progressing', status => 'True' } ] });
    is($state->(), 'Running', 'under way');
    status_of($d, 2, { state => 'Failed', message => 'no image', conditions => [ { type => 'Progressing', status => 'False' } ] });
    is($state->(), 'Failed', 'failed');
    is(api(GET => "/$where")->json->{message}, 'no image', 'and why');
    status_of($d, 2, { state => 'Stopped', conditions => [ { type => 'Progressing', status => 'False' } ] });
    is($state->(), 'Succeeded', 'done');
    api(PATCH => "/servers/$d->{id}", body => { spec => { displayName => 'x' } });
    is($state->(), 'Succeeded', 'a change of something else does not matter');
    api(POST => "/servers/$d->{id}/actions/start");
    is($state->(), 'Superseded', 'another action followed');

    is($t->api(GET => "/$where", key => $other->{key})->status, 404, 'not of another tenant');
    is(api(GET => "/servers/$d->{id}/operations/$_")->status, 404, "no operation: $_") for uuid7(), 'x', "'", $t->sql("SELECT id FROM audit WHERE server_id = '$d->{id}' AND action = 'server.create'");
    my $e = $t->server($acme, 'op2');
    is(api(GET => "/servers/$e->{id}/operations/" . $r->json->{id})->status, 404, 'of another server');

    for my $feature (qw(hibernate wake)) {
        my $n = api(POST => "/servers/$d->{id}/actions/$feature");
        is($n->status, 501, "$feature is not there yet");
        is($n->json->{errors}[0]{code}, $feature, 'and named');
        is($t->api(POST => "/servers/$d->{id}/actions/$feature", key => $other->{key})->status, 404, 'not of another tenant');
    }
};

done_testing;
