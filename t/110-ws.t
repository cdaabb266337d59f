# The WebSocket: ways to authenticate, topics, snapshot, live events, history,
# gaps, tenancy, commands, heartbeat, limits, close codes.

use lib 't/lib';
use MCHost::Test;
use JSON::PP ();
use Time::HiRes qw(time sleep);

my $t = MCHost::Test->new(nginx => { WS => 'ping=1s max_message=8k queue=64k', WORKER_CONNECTIONS => 1024 });
my $acme = $t->tenant('acme');
my $other = $t->tenant('other');
my $id = $t->server($acme, 'main')->{id};
my $id2 = $t->server($acme, 'second')->{id};
my $theirs = $t->server($other, 'theirs')->{id};

my %seq;

# As the reconciler: the row first, then the message.
sub status {
    my ($tenant, $server, $state, %o) = @_;

    my $seq = ++$seq{$server};
    $t->sql("INSERT INTO server_status (tenant_id, server_id, observed_generation, seq, status) VALUES ('$tenant->{id}', '$server', 1, $seq, '{\"state\": \"$state\"}')"
        . " ON CONFLICT (tenant_id, server_id) DO UPDATE SET seq = $seq, status = excluded.status") unless $o{only_message};
    $t->redis->call('PUBLISH', "mchost:t:$tenant->{id}:status", qq(1 $server $seq-0 2026-01-01T00:00:00Z {"state":"$state"}));
    return "$seq-0";
}

# A line of the console: into the stream, and out to who listens.
sub line {
    my ($tenant, $server, $text, %o) = @_;

    my $data = JSON::PP->new->canonical->encode({ line => $text, stream => 'stdout' });
    my $entry = $t->redis->call('XADD', "mchost:log:$server", 'MAXLEN', $o{max} ? ('=', $o{max}) : ('~', 2000), '*', 'time', '2026-01-01T00:00:00Z', 'data', $data);
    $t->redis->call('PUBLISH', "mchost:t:$tenant->{id}:logs", "1 $server $entry 2026-01-01T00:00:00Z $data");
    return $entry;
}

sub socket_of { return $t->ws(key => ref $_[0] ? $_[0]{key} : $_[0]) }
sub event { my ($state) = @_; return sub { $_->{op} eq 'event' && $_->{topic} eq 'status' && ($_->{data}{state} // '') eq $state } }
sub logline { my ($text) = @_; return sub { $_->{op} eq 'event' && $_->{topic} eq 'logs' && $_->{data}{line} eq $text } }

subtest 'handshake' => sub {
    my $ws = socket_of($acme);
    is($ws->status, 101, 'switching protocols');
    is($ws->response->header('Sec-WebSocket-Protocol'), 'mchost.v1', 'subprotocol');
    is($ws->ask({ op => 'ping' })->{op}, 'pong', 'ping');
    is($ws->close, 1000, 'closed with 1000');

    my $refused = sub { my ($name, $re, %o) = @_; like($t->ws(refused => 1, %o)->status, $re, $name) };
    $refused->('no key of a WebSocket', qr/^400$/, key => $acme->{key}, headers => { 'Sec-WebSocket-Key' => undef });
    $refused->('another version', qr/^(426|400)$/, key => $acme->{key}, headers => { 'Sec-WebSocket-Version' => 8 });
    $refused->('no upgrade', qr/^(400|426)$/, key => $acme->{key}, headers => { Upgrade => undef });
    $refused->('a wrong key', qr/^401$/, key => 'nonsense');
    $refused->('an unknown key', qr/^401$/, key => (new_token(uuid7()))[0]);
    $refused->('a foreign origin', qr/^403$/, key => $acme->{key}, headers => { Origin => 'https://evil.example' });
    $refused->('a body', qr/^400$/, key => $acme->{key}, headers => { 'Content-Length' => 4 }, early => 'body');
    is(socket_of($acme)->status, 101, 'no origin');
    is($t->ws(key => $acme->{key}, headers => { Origin => 'http://127.0.0.1:' . $t->port, Host => '127.0.0.1:' . $t->port })->status, 101, 'our own origin');
    is($t->api(GET => '/ws', key => $acme->{key})->status =~ /^4(00|26)$/, 1, 'an ordinary GET');
};

subtest 'authentication' => sub {
    my $ws = $t->ws;
    is($ws->status, 101, 'without a key');
    is($ws->ask({ op => 'subscribe', topics => ['status'], servers => ['*'] })->{op} // '', 'error', 'nothing is allowed yet') if $ws->open;
    $ws = $t->ws;
    is($ws->ask({ op => 'auth', token => $acme->{key} })->{op}, 'ack', 'the first message');
    is($ws->ask({ op => 'subscribe', topics => ['status'], servers => ['*'] })->{op}, 'ack', 'opens the door');
    is($ws->ask({ op => 'auth', token => $acme->{key} })->{op}, 'ack', 'renewed');
    $ws->close;

    for my $bad ('nonsense', (new_token(uuid7()))[0], $t->key($acme, revoked => 'now()'), '') {
        my $ws = $t->ws;
        $ws->send({ op => 'auth', token => $bad });
        is($ws->wait_close, 4401, 'a bad key: 4401');
    }
};

subtest 'early bytes' => sub {
    my $msg = MCHost::WebSocket::frame(1, JSON::PP->new->encode({ op => 'ping', id => 7 }));
    my $ws = $t->ws(key => $acme->{key}, early => $msg x 3);
    is($ws->recv->{op}, 'pong', "frame $_ in one write with the handshake") for 1 .. 3;
    $ws->close;
};

subtest 'subscribe, snapshot, live, unsubscribe' => sub {
    status($acme, $id, 'Starting');
    my $ws = socket_of($acme);
    my $n = $ws->send({ op => 'subscribe', topics => ['status'], servers => ['*'] });
    is($ws->recv->{op}, 'ack', 'ack comes first');
    my %snap = map { my $m = $ws->expect(sub { $_->{op} eq 'event' }); ($m->{server} => $m) } 1 .. 2;
    is_deeply([ sort keys %snap ], [ sort $id, $id2 ], 'a snapshot of every server of the tenant');
    is($snap{$id}{data}{state}, 'Starting', 'state');
    is($snap{$id2}{data}{state}, 'Pending', 'of one without a status');
    is($snap{$id}{topic}, 'status', 'topic');
    like($snap{$id}{seq}, qr/^\d+-\d+$/, 'seq');
    like($snap{$id}{time}, qr/^\d{4}-\d\d-\d\dT/, 'time');

    my $seq = status($acme, $id, 'Running');
    my $e = $ws->expect(event('Running'));
    is($e->{server}, $id, 'live');
    is($e->{seq}, $seq, 'with its seq');
    status($other, $theirs, 'Failed');
    status($acme, $id2, 'Stopped');
    $ws->expect(event('Stopped'));
    is((grep { ($_->{server} // '') eq $theirs } $ws->drain) + 0, 0, "nothing of another tenant");

    is($ws->ask({ op => 'unsubscribe', topics => ['status'], servers => ['*'] })->{op}, 'ack', 'unsubscribe');
    status($acme, $id, 'Stopping');
    is((grep { $_->{op} eq 'event' } $ws->drain(0.5)) + 0, 0, 'silence');
    $ws->close;
};

subtest 'some servers' => sub {
    my $ws = socket_of($acme);
    is($ws->ask({ op => 'subscribe', topics => ['status'], servers => [$id2] })->{op}, 'ack', 'one');
    is($ws->expect(sub { $_->{op} eq 'event' })->{server}, $id2, 'its snapshot');
    status($acme, $id, 'Failed');
    status($acme, $id2, 'Running');
    is($ws->expect(event('Running'))->{server}, $id2, 'its events');
    is((grep { ($_->{server} // '') eq $id } $ws->drain) + 0, 0, 'and no others');
    for my $bad ($theirs, uuid7()) {
        my $a = $ws->ask({ op => 'subscribe', topics => ['status'], servers => [$bad] });
        is($a->{op}, 'error', 'a server that is not ours');
        is($a->{code}, 'not_found', 'is not found');
    }
    $ws->close;
};

subtest 'a server made later' => sub {
    my $ws = socket_of($acme);
    $ws->ask({ op => 'subscribe', topics => ['status'], servers => ['*'] });
    my $new = $t->server($acme, 'later');
    status($acme, $new->{id}, 'Running');
    is($ws->expect(sub { $_->{op} eq 'event' && $_->{server} eq $new->{id} && $_->{data}{state} eq 'Running' })->{server}, $new->{id}, 'belongs to "*"');
    $ws->close;
};

subtest 'logs: history and live' => sub {
    my @entry = map { line($acme, $id, "line $_") } 1 .. 5;
    my $ws = socket_of($acme);
    is($ws->ask({ op => 'subscribe', topics => ['logs'], servers => [$id], since => '0-0' })->{op}, 'ack', 'from the beginning');
    is($ws->expect(logline("line $_"))->{seq}, $entry[ $_ - 1 ], "line $_") for 1 .. 5;
    my $live = line($acme, $id, 'line 6');
    is($ws->expect(logline('line 6'))->{seq}, $live, 'live');
    is($ws->ask({ op => 'ping' })->{op}, 'pong', 'that was all');
    is((grep { $_->{op} eq 'event' } $ws->drain) + 0, 0, 'nothing twice');
    $ws->close;

    $ws = socket_of($acme);
    $ws->ask({ op => 'subscribe', topics => ['logs'], servers => [$id], since => $entry[2] });
    is($ws->expect(sub { $_->{op} eq 'event' })->{data}{line}, 'line 4', 'after a cursor');
    is($ws->expect(sub { $_->{op} eq 'event' })->{data}{line}, "line $_", "line $_") for 5, 6;
    is((grep { $_->{op} eq 'gap' } $ws->drain) + 0, 0, 'no gap');
    $ws->close;
};

subtest 'no line is lost or doubled while subscribing' => sub {
    my $writer = MCHost::Process->forked('writer', sub {
        delete $t->redis->{client};
        for (1 .. 400) { line($acme, $id2, "w$_"); sleep 0.002 }
    });
    my @ws;
    for (1 .. 5) {
        my $ws = socket_of($acme);
        $ws->send({ op => 'subscribe', topics => ['logs'], servers => [$id2], since => '0-0' });
        push @ws, $ws;
        sleep 0.1;
    }
    for my $ws (@ws) {
        my @got;
        while (1) {
            my $m = $ws->recv(20);
            last if $m->{op} eq 'closed';
            push @got, $m->{data}{line} if $m->{op} eq 'event';
            last if @got && $got[-1] eq 'w400';
        }
        is_deeply(\@got, [ map { "w$_" } 1 .. 400 ], 'all of them, in order') or diag scalar @got;
        $ws->abandon;
    }
    $writer->wait(20);
};

subtest 'a gap' => sub {
    my $first = line($acme, $id, 'old');
    line($acme, $id, "fill $_", max => 10) for 1 .. 50;
    my $ws = socket_of($acme);
    $ws->ask({ op => 'subscribe', topics => ['logs'], servers => [$id], since => $first });
    my $gap = $ws->expect(sub { $_->{op} eq 'gap' });
    is($gap->{server}, $id, 'names the server');
    is($gap->{topic}, 'logs', 'the topic');
    is($gap->{from}, $first, 'from the cursor');
    like($gap->{to}, qr/^\d+-\d+$/, 'to what is left');
    $ws->expect(logline('fill 50'));
    pass('then what is left');
    $ws->close;
};

subtest 'bad messages' => sub {
    my $ws = socket_of($acme);
    my %code = (
        'no JSON'            => 'x{',
        'a list'             => '[]',
        'no op'              => '{"id":1}',
        'an unknown op'      => '{"op":"dance","id":1}',
        'an unknown topic'   => '{"op":"subscribe","id":1,"topics":["secrets"],"servers":["*"]}',
        'topics of a string' => '{"op":"subscribe","id":1,"topics":"status","servers":["*"]}',
        'no servers'         => '{"op":"subscribe","id":1,"topics":["status"]}',
        'servers that are none' => '{"op":"subscribe","id":1,"topics":["status"],"servers":["x"]}',
        'a cursor that is none' => '{"op":"subscribe","id":1,"topics":["logs"],"servers":["*"],"since":"x"}',
        'duplicate keys'     => '{"op":"ping","op":"ping","id":1}',
        'no command'         => qq({"op":"command","id":1,"server":"$id"}),
        'an unknown action'  => qq({"op":"action","id":1,"server":"$id","action":"explode"}),
    );
    for my $name (sort keys %code) {
        $ws->send_text($code{$name});
        my $m = $ws->expect(sub { $_->{op} ne 'event' });
        is($m->{op}, 'error', $name);
        ok(length($m->{code} // '') && length($m->{message} // ''), '… with code and message');
    }
    is($ws->ask({ op => 'ping' })->{op}, 'pong', 'and the socket lives');
    $ws->close;
};

subtest 'close codes of the protocol' => sub {
    my %bad = (
        'unmasked frame'      => [ 1002, MCHost::WebSocket::frame(1, '{}', mask => 0) ],
        'RSV bit'             => [ 1002, MCHost::WebSocket::frame(1, '{}', rsv => 4) ],
        'unknown opcode'      => [ 1002, MCHost::WebSocket::frame(3, '{}') ],
        'unknown control'     => [ 1002, MCHost::WebSocket::frame(11, '') ],
        'fragmented ping'     => [ 1002, MCHost::WebSocket::frame(9, '', fin => 0) ],
        'long ping'           => [ 1002, MCHost::WebSocket::frame(9, 'x' x 126) ],
        'continuation first'  => [ 1002, MCHost::WebSocket::frame(0, 'x') ],
        'text in a fragment'  => [ 1002, MCHost::WebSocket::frame(1, '{', fin => 0) . MCHost::WebSocket::frame(1, '}') ],
        'close of one byte'   => [ 1002, MCHost::WebSocket::frame(8, 'x') ],
        'close with 999'      => [ 1002, MCHost::WebSocket::frame(8, pack 'n', 999) ],
        'close with 1005'     => [ 1002, MCHost::WebSocket::frame(8, pack 'n', 1005) ],
        'broken UTF-8'        => [ 1007, MCHost::WebSocket::frame(1, "\xff") ],
        'binary'              => [ 1003, MCHost::WebSocket::frame(2, 'x') ],
        'too big'             => [ 1009, MCHost::WebSocket::frame(1, 'x' x 9000) ],
        'far too big'         => [ 1009, MCHost::WebSocket::frame(1, 'x', length => 2**40, long => 1) ],
        'too big in fragments' => [ 1009, MCHost::WebSocket::frame(1, 'x' x 5000, fin => 0) . MCHost::WebSocket::frame(0, 'x' x 5000) ],
    );
    for my $name (sort keys %bad) {
        my $ws = socket_of($acme);
        $ws->send_bytes($bad{$name}[1]);
        my $code = eval { $ws->wait_close(10) } // "none: $@";
        is($code, $bad{$name}[0], $name);
        $ws->abandon;
    }

    my $ws = socket_of($acme);
    $ws->send_frame(1, '{"op":"pi', fin => 0);
    $ws->send_frame(9, 'between');
    is($ws->recv_frame(5)->{payload}, 'between', 'a ping between fragments is answered');
    $ws->send_frame(0, 'ng","id":"a"}');
    is($ws->expect(sub { $_->{op} eq 'pong' })->{id}, 'a', 'and the message is whole');
    $ws->send_bytes($_) for split //, MCHost::WebSocket::frame(1, '{"op":"ping","id":"b"}');
    is($ws->expect(sub { $_->{op} eq 'pong' })->{id}, 'b', 'byte by byte');
    $ws->send_frame(8, pack('n', 1000) . 'bye');
    is($ws->wait_close(5), 1000, 'a close is echoed');
};

subtest 'commands' => sub {
    my $recon = $t->redis->client('reconciler');
    my $answer = sub {
        my ($reply) = @_;
        my $got = $recon->call('XREAD', 'BLOCK', 5000, 'STREAMS', 'mchost:cmd', $_[1] // '0-0');
        my ($entry, $fields) = @{ $got->[0][1][-1] };
        my %f = @$fields;
        $t->redis->call('PUBLISH', "mchost:reply:$f{id}", $reply) if defined $reply;
        return (\%f, $entry);
    };

    my $ws = socket_of($acme);
    my $n = $ws->send({ op => 'command', server => $id, command => 'say "hi"' });
    my ($f, $last) = $answer->('{"output":"done"}');
    is($f->{tenant}, $acme->{id}, 'tenant');
    is($f->{server}, $id, 'server');
    is($f->{op}, 'console', 'op');
    is($f->{arg}, 'say "hi"', 'the command');
    cmp_ok($f->{deadline}, '>', time * 1000, 'a deadline');
    my $r = $ws->answer($n);
    is($r->{op}, 'result', 'result');
    is($r->{output}, 'done', 'output');

    my $c = $t->api_begin(POST => "/servers/$id/console", key => $acme->{key}, body => { command => 'list' });
    (undef, $last) = $answer->('{"output":"players: 0"}', $last);
    $r = $c->receive;
    is($r->status, 200, 'over REST');
    is_deeply($r->json, { output => 'players: 0' }, 'the output');

    $n = $ws->send({ op => 'command', server => $id, command => 'list' });
    (undef, $last) = $answer->('{"error":{"code":"not_running","message":"The server is not running."}}', $last);
    is($ws->answer($n)->{code}, 'not_running', 'an error of the reconciler');
    $c = $t->api_begin(POST => "/servers/$id/console", key => $acme->{key}, body => { command => 'list' });
    (undef, $last) = $answer->('{"error":{"code":"not_running","message":"The server is not running."}}', $last);
    is($c->receive->status, 409, 'over REST') ;

    for my $bad ($theirs, uuid7()) {
        is($ws->ask({ op => 'command', server => $bad, command => 'stop' })->{code}, 'not_found', 'a server that is not ours');
        is($ws->ask({ op => 'action', server => $bad, action => 'stop' })->{code}, 'not_found', 'nor its actions');
    }
    is($ws->ask({ op => 'action', server => $id, action => 'restart' })->{op}, 'result', 'an action');
    ok(length $t->sql("SELECT spec ->> 'restartToken' FROM servers WHERE id = '$id'"), 'is done');

    my $viewer = socket_of($t->key($acme, role => 'viewer'));
    is($viewer->ask({ op => 'command', server => $id, command => 'stop' })->{code}, 'forbidden', 'a viewer gives no commands');
    is($viewer->ask({ op => 'action', server => $id, action => 'stop' })->{code}, 'forbidden', 'nor actions');
    is($viewer->ask({ op => 'subscribe', topics => ['logs', 'status'], servers => ['*'] })->{op}, 'ack', 'but looks');

    my $start = time;
    $n = $ws->send({ op => 'command', server => $id, command => 'slow' });
    $c = $t->api_begin(POST => "/servers/$id/console", key => $acme->{key}, body => { command => 'slow' }, timeout => 20);
    is($ws->answer($n, 20)->{code}, 'timeout', 'no answer: timeout');
    is($c->receive->status, 504, 'over REST: 504');
    cmp_ok(time - $start, '>', 9, 'after ten seconds');
    cmp_ok(time - $start, '<', 13, 'and not later');
    is($t->redis->call('PUBSUB', 'NUMSUB', map { "mchost:reply:$_" } $f->{id})->[1], 0, 'nobody listens to a reply any more');
    is(scalar @{ $t->redis->call('PUBSUB', 'CHANNELS', 'mchost:reply:*') }, 0, 'to no reply at all');
    $_->close for $ws, $viewer;
};

subtest 'heartbeat' => sub {
    my $ws = socket_of($acme);
    my $pings = 0;
    my $end = time + 3.5;
    while (time < $end) {
        my $f = eval { $ws->recv_frame($end - time) } or last;
        if ($f->{op} == 9) { $pings++; $ws->send_frame(10, $f->{payload}) }
    }
    cmp_ok($pings, '>=', 2, "pings come: $pings in 3.5 s");
    $ws->close;

    my $mute = socket_of($acme);
    $mute->{no_pong} = 1;
    my $start = time;
    my $code = eval { $mute->wait_close(10) };
    ok(defined $code, 'one who does not answer is closed: ' . ($code // 'no'));
    cmp_ok(time - $start, '<', 6, 'after two misses');
};

subtest 'a key that is revoked or expires' => sub {
    my $key = $t->key($acme, expires => "now() + interval '3 seconds'");
    my $ws = socket_of($key);
    is($ws->ask({ op => 'ping' })->{op}, 'pong', 'works');
    is(eval { $ws->wait_close(15) } // $@, 4401, 'expired: 4401');
};

subtest 'slow readers' => sub {
    # one reads late, one never
    my ($late, $never) = map { socket_of($acme) } 1 .. 2;
    for my $ws ($late, $never) {
        $ws->ask({ op => 'subscribe', topics => ['logs'], servers => [$id] });
    }
    my $good = socket_of($acme);
    $good->ask({ op => 'subscribe', topics => ['logs'], servers => [$id] });
    for my $i (1 .. 3000) {
        line($acme, $id, "$i " . 'x' x 4000);
        1 while $i % 20 == 0 && eval { $good->expect(sub { $_->{op} eq 'event' }, 0.001) };
        if ($i % 20 == 0) { $_->send_frame(10, '') for $late, $never }    # they live
    }
    line($acme, $id, 'end');
    $good->expect(logline('end'), 30);
    pass('do not hold up the others');

    # what it missed it gets later, or is told that it is gone
    my ($last, $gaps, @lost) = (undef, 0);
    while (1) {
        my $m = $late->recv(30);
        last if $m->{op} eq 'closed';
        if ($m->{op} eq 'gap') { $gaps++; undef $last }
        next if $m->{op} ne 'event';
        last if $m->{data}{line} eq 'end';
        my ($n) = $m->{data}{line} =~ /^(\d+)/;
        push @lost, "$last, then $n" if defined $last && $n != $last + 1;
        $last = $n;
    }
    ok(!$late->{closed}, 'the late one reads to the end') or diag join ' ', %{ $late->{closed} };
    is_deeply(\@lost, [], "nothing is lost without a word ($gaps gaps)");

    ok(eval { wait_for { $t->metric('mchost_websocket_slow_closed_total') } 'the one who never reads to be given up', 60 }, 'the one who never reads is given up');
    $_->abandon for $late, $never, $good;
};

subtest 'many sockets come and go' => sub {
    for my $round (1 .. 3) {
        my @ws = map { socket_of($_ % 2 ? $acme : $other) } 1 .. 60;
        $_->ask({ op => 'subscribe', topics => ['status', 'logs'], servers => ['*'] }) for @ws;
        status($acme, $id, "Round$round", only_message => 1);
        $ws[$_]->expect(event("Round$round")) for grep { $_ % 2 == 0 } 0 .. 20;
        $_->abandon for @ws;
    }
    wait_for { !grep { $_ > 0 } map { /^\d+$/ ? $_ : () } @{ $t->redis->call('PUBSUB', 'NUMSUB', "mchost:t:$acme->{id}:status", "mchost:t:$other->{id}:logs") } } 'Redis to have no subscriber';
    pass('nothing is subscribed any more');
};

done_testing;
