# What was written down (events, audit, backups, metrics over time), logs, and
# messages to sockets.

use lib 't/lib';
use MCHost::Test;

my $t = MCHost::Test->new(nginx => { WORKERS => 1 });
my ($acme, $other) = map { $t->tenant($_) } qw(acme other);
my $js = JSON::PP->new->canonical->utf8;

sub api { my ($method, $path, %o) = @_; return $t->api($method, $path, key => $acme->{key}, %o) }
sub as_reconciler { return $t->sql($_[0], user => 'mchost_reconciler') }

# All pages of a list.
sub pages {
    my ($path, $limit, %o) = @_;

    my (@got, $after);
    for (1 .. 50) {
        my $r = api(GET => $path . ($path =~ /\?/ ? '&' : '?') . "limit=$limit" . (defined $after ? "&after=$after" : ''), %o);
        push @got, @{ $r->json->{items} };
        $after = $r->json->{next} // return \@got;
    }
    return \@got;
}

subtest 'audit' => sub {
    my ($d, $e) = map { $t->server($acme, $_) } qw(one two);
    $t->server($other, 'theirs');
    api(POST => "/servers/$d->{id}/actions/stop", headers => { 'X-Request-Id' => 'who-did-it' });

    my $all = pages('/audit', 2);
    is(join(' ', map { $_->{action} } @$all), 'server.create server.create server.stop', 'all of the tenant, in order');
    is($all->[2]{requestId}, 'who-did-it', 'with the request');
    is($all->[2]{server}, $d->{id}, 'the server');
    is($all->[2]{detail}{generation}, 2, 'and what');
    is(join(' ', map { $_->{action} } @{ pages("/audit?server=$d->{id}", 1) }), 'server.create server.stop', 'of one server');
    is_deeply(pages("/audit?server=" . uuid7(), 5), [], 'of none');
    is_deeply($t->api(GET => "/audit?server=$d->{id}", key => $other->{key})->json->{items}, [], "not another tenant's");
    is_deeply($t->api(GET => "/audit?after=$all->[0]{id}", key => $other->{key})->json->{items}[0]{detail}{name}, 'theirs', "another tenant's cursor is a place in one's own list");
    is(api(GET => "/audit?after=$_")->status, 400, "no cursor: $_") for 'x', "'", '1';
    is(api(GET => "/audit?server=x")->status, 400, 'no server');
    is($t->api(GET => '/audit', key => $t->key($acme, role => 'operator'))->status, 403, 'for admins');
    is(api(POST => '/audit', body => {})->status, 405, 'nobody writes it');
};

subtest 'events' => sub {
    my ($d, $e) = map { $t->server($acme, $_) } qw(three four);
    my $f = $t->server($other, 'five');
    my $n = 0;
    my @id = map { my $id = sprintf '018f0000-0000-7000-8000-%012x', $n++;
        as_reconciler("INSERT INTO server_events (tenant_id, id, server_id, type, reason, message) VALUES ('$_->{tenantId}', '$id', '$_->{id}', 'Normal', 'Started', 'Event $n')"); $id } $d, $e, $f, $d, $d;

    is(join(' ', map { $_->{message} =~ /(\d)/ } @{ pages('/events', 1) }), '1 2 4 5', 'of the tenant, in order');
    my $first = api(GET => '/events?limit=1')->json;
    as_reconciler("DELETE FROM server_events WHERE id = '$id[0]'");
    is(api(GET => "/events?limit=1&after=$first->{next}")->json->{items}[0]{id}, $id[1], 'a cursor survives what it names');
    is_deeply([ sort keys %{ $first->{items}[0] } ], [qw(id message reason server time type)], 'the fields');
    is(join(' ', map { $_->{message} =~ /(\d)/ } @{ pages("/events?server=$d->{id}", 5) }), '4 5', 'of one server');
    is_deeply($t->api(GET => "/events?server=$d->{id}", key => $other->{key})->json->{items}, [], "not another tenant's");
    ok(!eval { $t->sql("DELETE FROM server_events", user => 'mchost_api'); 1 }, 'the API removes none');
    is(api(GET => '/events', headers => { Accept => 'text/html' })->status, 406, 'not as HTML');
};

subtest 'backups' => sub {
    my $d = $t->server($acme, 'kept', backup => { schedule => { cron => '@daily' } });
    my $path = "/servers/$d->{id}/backups";
    my $n = 0;
    my @id = map { my $id = sprintf '018f0000-0000-7000-8000-%012x', $n++;
        as_reconciler("INSERT INTO server_backups (tenant_id, id, server_id, trigger, state, bytes) VALUES ('$acme->{id}', '$id', '$d->{id}', 'Schedule', '$_', 123)"); $id } qw(Succeeded Failed Running);

    is($d->{spec}{backup}{schedule}{cron}, '@daily', 'a schedule is a part of the spec');
    is(join(' ', map { $_->{state} } @{ pages($path, 2) }), 'Succeeded Failed Running', 'the records');
    my $b = api(GET => "$path/$id[0]");
    is($b->status, 200, 'one') or diag $b->body;
    is($b->json->{bytes}, 123, 'its size');
    is(api(DELETE => "$path/$id[0]")->status, 204, 'removed');
    is(api(GET => "$path/$id[0]")->status, 404, 'gone');
    is(api(DELETE => "$path/$id[0]")->status, 404, 'once');
    is(api(DELETE => "$path/$id[2]")->status, 409, 'not while it is being made');
    is($t->sql("SELECT detail ->> 'backup' FROM audit WHERE action = 'server.backup.delete'"), $id[0], 'audit');

    for my $c ([ POST => $path, 'backup' ], [ POST => "$path/$id[1]/restore", 'restore' ]) {
        my $r = api($c->[0] => $c->[1]);
        is($r->status, 501, "$c->[2] is not there yet");
        is($r->json->{errors}[0]{code}, $c->[2], 'and named');
        like($r->header('Content-Type'), qr{^application/problem\+json}, 'a problem');
    }
    is($t->sql('SELECT count(*) FROM server_backups'), 2, 'nothing was pretended');

    my $e = $t->server($acme, 'unkept');
    is(api(GET => "/servers/$e->{id}/backups/$id[1]")->status, 404, 'not of another server');
    is(api(DELETE => "/servers/$e->{id}/backups/$id[1]")->status, 404, 'nor removed there');
    is($t->api(@$_, key => $other->{key})->status, 404, "not of another tenant: @$_") for [ GET => $path ], [ GET => "$path/$id[1]" ], [ DELETE => "$path/$id[1]" ], [ POST => $path ], [ POST => "$path/$id[1]/restore" ];
    is(api(GET => "$path/$_")->status, 404, "no id: $_") for 'x', "'";
    is($t->api(DELETE => "$path/$id[1]", key => $t->key($acme, role => 'viewer'))->status, 403, 'a viewer removes none');
};

subtest 'metrics' => sub {
    my $d = $t->server($acme, 'measured');
    my $path = "/servers/$d->{id}/metrics";
    as_reconciler("INSERT INTO server_metrics (tenant_id, server_id, at, cpu, memory_bytes, players) SELECT '$acme->{id}', '$d->{id}', '2026-01-02T03:00:00Z'::timestamptz + n * interval '10 s', n, 1000 + n, n % 3 FROM generate_series(0, 11) n");

    my $r = api(GET => "$path?from=2026-01-02T03:00:00Z&to=2026-01-02T03:02:00Z&step=60");
    is($r->status, 200, 'metrics') or diag $r->body;
    my $m = $r->json;
    is(scalar @{ $m->{items} }, 2, 'two steps');
    is_deeply({ %{ $m->{items}[1] }, time => '' }, { time => '', cpu => 8.5, memoryBytes => 1009, storageBytes => undef, players => 2, tps => undef, mspt => undef }, 'means') or diag explain $m->{items}[1];
    like($m->{items}[1]{time}, qr/^2026-01-02T03:01:00/, 'when');
    is(scalar @{ api(GET => "$path?from=2026-01-02T04:00:00%2B01:00&to=2026-01-02T04:01:00%2B01:00&step=10")->json->{items} }, 6, 'another zone, a smaller step');
    is_deeply(api(GET => $path)->json->{items}, [], 'the last hour');
    is(api(GET => "$path?$_")->status, 400, $_) for 'from=x', 'step=0', 'step=1', 'step=x', 'from=2026-01-02T03:00:00Z&to=2026-01-02T03:00:00Z', 'from=2026-01-02', 'from=2026-13-02T03:00:00Z', 'from=2020-01-01T00:00:00Z', 'to=2026-01-02T03:00:00', "to='", 'from=2026-01-02T03:00:00Z%00';
    is($t->api(GET => $path, key => $other->{key})->status, 404, 'not of another tenant');
    is(api(GET => '/servers/' . uuid7() . '/metrics')->status, 404, 'nor of none');
};

subtest 'logs' => sub {
    my $d = $t->server($acme, 'logged');
    my $path = "/servers/$d->{id}/logs";
    is_deeply(api(GET => $path)->json, { items => [], next => undef, gap => false }, 'nothing yet');

    my $redis = $t->redis->client('reconciler');
    my @seq = map { $redis->call('XADD', "mchost:log:$d->{id}", "$_-0", 'time', "2026-01-02T03:04:0$_.000Z", 'data', $js->encode({ line => "line $_ \x{e4}\"" })) } 1 .. 7;
    my $lines = sub { join ' ', map { $_->{data}{line} =~ /line (\d)/ } @{ $_[0]->json->{items} } };

    my $r = api(GET => "$path?limit=3");
    is($r->status, 200, 'logs') or diag $r->body;
    is($lines->($r), '5 6 7', 'the newest, in order');
    is_deeply($r->json->{items}[2], { seq => '7-0', time => '2026-01-02T03:04:07.000Z', data => { line => "line 7 \x{e4}\"" } }, 'an entry');
    is($r->json->{next}, '7-0', 'where to go on');
    $r = api(GET => "$path?after=7-0");
    is_deeply($r->json, { items => [], next => '7-0', gap => false }, 'nothing new');
    $redis->call('XADD', "mchost:log:$d->{id}", '8-0', 'time', 'x', 'data', '{"line":"line 8"}');
    is($lines->(api(GET => "$path?after=7-0")), '8', 'what came since');
    is($lines->(api(GET => "$path?after=2-0&limit=2")), '3 4', 'a page');
    $redis->call('XTRIM', "mchost:log:$d->{id}", 'MAXLEN', '=', '2');
    $r = api(GET => "$path?after=2-0");
    is($lines->($r), '7 8', 'a cursor survives what was trimmed');
    ok($r->json->{gap}, 'which is told');
    is($lines->(api(GET => "$path?after=2-0&limit=1")), '7', 'a page of what is left');
    ok(!api(GET => "$path?after=7-0")->json->{gap}, 'and not where nothing is missing');
    is(api(GET => "$path?after=$_")->status, 400, "no cursor: $_") for uuid7(), 'x', '-', '1-', '-1', '1-1-1', '%2B', '1-0%20COUNT', '9' x 30 . '-0';
    is($t->api(GET => $path, key => $other->{key})->status, 404, 'not of another tenant');
    is(api(GET => '/servers/' . uuid7() . '/logs')->status, 404, 'nor of none');
};

subtest 'messages' => sub {
    my ($d, $e) = map { $t->server($acme, $_) } qw(told told2);
    my $f = $t->server($other, 'told');
    my $sub = $t->redis->client('reconciler');
    $sub->call('SUBSCRIBE', "mchost:t:$acme->{id}:custom");

    my $body = { servers => [ $d->{id} ], topic => 'shop.sale', data => { text => "\x{e4}", n => [ 1, undef ] } };
    my $r = api(POST => '/messages', body => $body, headers => { 'Idempotency-Key' => 'm' });
    is($r->status, 202, 'sent') or diag $r->body;
    my ($channel, $m) = @{ $sub->message };
    my ($version, $server, $seq, $time, $data) = split / /, $m, 5;
    is("$version $server", "1 $d->{id}", 'an envelope of the server');
    like($seq, qr/^\d+-\d+$/, 'with a place');
    is($time, $r->json->{time}, 'and a time');
    is_deeply(JSON::PP::decode_json($data), { topic => 'shop.sale', data => $body->{data} }, 'what was said');
    is_deeply(api(POST => '/messages', body => $body, headers => { 'Idempotency-Key' => 'm' })->json, $r->json, 'repeated with its key');
    is(api(POST => '/messages', body => { servers => ['*'], topic => 'all', data => 1 })->status, 202, 'to all');
    is(((split / /, $sub->message->[1])[1, 4])[0], '00000000-0000-0000-0000-000000000000', 'comes next: the repetition was not sent');
    is(api(POST => '/messages', body => { servers => [ $d->{id}, uc $e->{id} ], topic => 'two', data => 1 })->status, 202, 'to two');
    is(join(' ', map { (split / /, $sub->message->[1])[1] } 1, 2), "$d->{id} $e->{id}", 'each');

    my $bad = sub { my ($b) = @_; my $x = api(POST => '/messages', body => $b); return $x->status == 422 ? join ' ', sort map { $_->{pointer} } @{ $x->json->{errors} } : $x->status };
    is($bad->({}), '/data /servers /topic', 'nothing said');
    is($bad->({ servers => [ 'x', '*' ], topic => 'a b', data => 'x' x 20000, more => 1 }), '/data /more /servers /servers/0 /topic', 'all that is wrong at once');
    is($bad->({ servers => 5, topic => 5, data => undef }), '/servers /topic', 'types');
    is($bad->({ servers => [], topic => 'x' x 65, data => 0 }), '/servers /topic', 'lengths');
    is($bad->({ servers => [ $d->{id}, $f->{id} ], topic => 'x', data => 0 }), '/servers', "another tenant's server");
    is($bad->({ servers => [ $d->{id}, $d->{id} ], topic => 'x', data => 0 }), '/servers', 'twice');
    is($t->api(POST => '/messages', key => $t->key($acme, role => 'viewer'), body => $body)->status, 403, 'not for a viewer');
    is($t->sql("SELECT count(*) FROM audit WHERE action = 'message.send' AND tenant_id = '$acme->{id}'"), 3, 'audit');
};

subtest 'Accept' => sub {
    my %status = ('application/json' => 200, '*/*' => 200, 'application/*;q=0.1' => 200, 'text/html' => 406, 'text/html, */*;q=0.1' => 200, 'application/json;q=0' => 406,
        'application/json; q=0.000, text/*' => 406, 'APPLICATION/JSON' => 200, '' => 200, ',,' => 406, 'application/jsonx' => 406);
    is(api(GET => '/me', headers => { Accept => $_ })->status, $status{$_}, "\"$_\"") for sort keys %status;
};

subtest 'a console command and its key' => sub {
    my $d = $t->server($acme, 'said');
    my $redis = $t->redis->client('reconciler');
    my $say = sub { $t->api_begin(POST => "/servers/$d->{id}/console", key => $acme->{key}, body => { command => 'list' }, headers => { 'Idempotency-Key' => $_[0] }) };
    my $c = $say->('c1');
    my $cmd = wait_for { $redis->call('XRANGE', 'mchost:cmd', '-', '+')->[0] } 'the command';
    my %f = @{ $cmd->[1] };
    is($f{arg}, 'list', 'sent');
    is($say->('c1')->receive->status, 409, 'a repetition meanwhile is not sent again');
    $redis->call('PUBLISH', "mchost:reply:$f{id}", '{"output": "nobody"}');
    my $r = $c->receive;
    is($r->status, 200, 'answered');
    my $again = wait_for { my $a = $say->('c1')->receive; $a->status == 200 && $a } 'the kept answer';
    is_deeply($again->json, $r->json, 'and the answer is kept');
    is(scalar @{ $redis->call('XRANGE', 'mchost:cmd', '-', '+') }, 1, 'one command');
    my $k = $t->api_begin(POST => "/servers/$d->{id}/players/Steve/kick", key => $acme->{key});
    $cmd = wait_for { $redis->call('XRANGE', 'mchost:cmd', '-', '+')->[1] } 'the kick';
    %f = @{ $cmd->[1] };
    is($f{arg}, 'kick Steve', 'a kick is a command');
    $redis->call('PUBLISH', "mchost:reply:$f{id}", '{"output": "Kicked Steve"}');
    is($k->receive->json->{output}, 'Kicked Steve', 'with its answer');
};

subtest 'without Redis' => sub {
    my $d = $t->server($acme, 'alone');
    $t->redis->stop;
    wait_for { api(GET => '//readyz')->status == 503 } 'nginx to notice';
    for ([ GET => "/servers/$d->{id}/logs" ], [ POST => '/messages', { servers => ['*'], topic => 'x', data => 1 } ], [ POST => "/servers/$d->{id}/players/x/kick" ]) {
        my $r = api($_->[0] => $_->[1], body => $_->[2]);
        is($r->status, 503, "$_->[0] $_->[1]") or diag $r->body;
        ok($r->header('Retry-After'), 'Retry-After');
    }
    is(api(POST => "/servers/$d->{id}/players/x/ban")->status, 200, 'what is desired can be changed');
    is($t->api(GET => "/servers/$d->{id}/logs", key => $other->{key})->status, 404, 'and walls stand');
};

done_testing;
