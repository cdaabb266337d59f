# What several messages, topics and servers do to one another on a socket:
# messages before authentication is answered, cursors of many servers,
# overlapping subscriptions, coalescing, limits, a Redis that hangs.

use lib 't/lib';
use MCHost::Test;
use JSON::PP ();
use Time::HiRes qw(time sleep);

my $redis_path = '/tmp/mch-redis-' . $$ . '.sock';
my $pid = $$;
END { unlink $redis_path if $pid == $$ }
my $t = MCHost::Test->new(start => 0, redis_path => $redis_path,
    nginx => { WORKERS => 1, WS => 'ping=30s max_message=16k queue=64k', WORKER_CONNECTIONS => 1024 });
my $proxy = MCHost::Proxy->new(listen => $redis_path, to => $t->redis->path);
$t->nginx->start;
$t->wait_ready;

my $acme = $t->tenant('acme');
my $other = $t->tenant('other');
my @id = map { $t->server($acme, "s$_")->{id} } 1 .. 4;
my $theirs = $t->server($other, 'theirs')->{id};
my %seq;

sub publish {
    my ($server, $state, $more) = @_;

    my $n = ++$seq{$server};
    $t->redis->call('PUBLISH', "mchost:t:$acme->{id}:status", qq(1 $server $n-0 2026-01-01T00:00:00Z ) . JSON::PP->new->canonical->encode({ state => $state, %{ $more // {} } }));
}

sub line {
    my ($server, $text, @max) = @_;

    my $data = JSON::PP->new->canonical->encode({ line => $text, stream => 'stdout' });
    my $entry = $t->redis->call('XADD', "mchost:log:$server", 'MAXLEN', @max ? @max : ('~', 2000), '*', 'time', '2026-01-01T00:00:00Z', 'data', $data);
    $t->redis->call('PUBLISH', "mchost:t:$acme->{id}:logs", "1 $server $entry 2026-01-01T00:00:00Z $data");
    return $entry;
}

sub bytes { return join '', map { MCHost::WebSocket::frame(1, JSON::PP->new->utf8->encode($_)) } @_ }
sub text { my ($m) = @_; return $m->{op} eq 'event' ? $m->{data}{line} // $m->{data}{state} : $m->{op} }

# A socket that sees a mark when all that was published before has reached
# the worker, which has one.
my ($witness, $marks);

sub reached {
    if (!$witness) {
        $witness = $t->ws(key => $acme->{key});
        $witness->ask({ op => 'subscribe', topics => ['status'], servers => ['*'] });
    }
    my $mark = 'mark ' . ++$marks;
    $t->redis->call('PUBLISH', "mchost:t:$acme->{id}:status", '1 ' . uuid7() . qq( 1-0 2026-01-01T00:00:00Z {"state":"$mark"}));
    $witness->expect(sub { text($_) eq $mark });
    splice @{ $witness->{queue} };
}

# What has been published for a socket and was not read yet.
sub events {
    my ($ws) = @_;

    reached();
    my $n = $ws->send({ op => 'ping' });
    my @got;
    while (1) {
        my $m = $ws->recv;
        last if $m->{op} eq 'pong' && $m->{id} eq $n || $m->{op} eq 'closed';
        push @got, $m unless text($m) =~ /^mark /;
    }
    return @got;
}

subtest 'everything in one write with the handshake' => sub {
    my $ws = $t->ws(early => bytes({ op => 'auth', id => 1, token => $acme->{key} },
        { op => 'subscribe', id => 2, topics => ['status'], servers => [ $id[0] ] }, { op => 'ping', id => 3 }));
    is($ws->status, 101, 'upgraded');
    is_deeply([ map { my $m = $ws->recv; "$m->{op} $m->{id}" } 1 .. 2 ], [ 'ack 1', 'pong 3' ], 'what followed waited for the answer');
    is($ws->recv->{op}, 'ack', 'the subscription');
    is($ws->recv->{server}, $id[0], 'its snapshot');
    is($ws->ask({ op => 'auth', token => $other->{key} })->{code}, 'forbidden', "another tenant's key is no renewal");
    is($ws->ask({ op => 'auth', token => $t->key($acme, role => 'viewer') })->{op}, 'ack', 'another key of the tenant is');
    is($ws->ask({ op => 'command', server => $id[0], command => 'stop' })->{code}, 'forbidden', 'and from now on its role counts');
    $ws->close;

    $ws = $t->ws(early => bytes({ op => 'auth', token => (new_token(uuid7()))[0] }, { op => 'subscribe', id => 2, topics => ['status'], servers => ['*'] }));
    my @got;
    push @got, $ws->recv until @got && $got[-1]{op} eq 'closed';
    is_deeply([ map { $_->{code} } @got ], [ 'unauthorized', 4401 ], 'a bad key: nothing behind it is answered');
};

subtest 'too many at once' => sub {
    my $ws = $t->ws(key => $acme->{key});
    $ws->send_bytes(bytes(map { { op => 'subscribe', id => $_, topics => ['status'], servers => [ $id[0] ] } } 1 .. 30));
    my %n;
    for (1 .. 30) {
        my $m = $ws->expect(sub { $_->{op} ne 'event' });
        $n{ $m->{code} // $m->{op} }++;
    }
    is($n{ack} + $n{rate_limited}, 30, 'all are answered');
    cmp_ok($n{ack}, '>=', 16, "$n{ack} are done");
    cmp_ok($n{rate_limited}, '>', 0, "$n{rate_limited} are too many");
    is($ws->ask({ op => 'subscribe', topics => ['status'], servers => [ map { uuid7() } 1 .. 300 ] })->{code}, 'not_found', 'many ids');
    is($ws->ask({ op => 'subscribe', topics => ['metrics'], servers => ['*'] })->{code}, 'unsupported', 'a topic to come');
    is($ws->ask({ op => 'ping', more => 1 })->{code}, 'invalid', 'an unknown field');
    $ws->close;
};

subtest 'overlapping subscriptions' => sub {
    my $ws = $t->ws(key => $acme->{key});
    $ws->ask({ op => 'subscribe', topics => ['status'], servers => [ @id[ 0, 1 ] ] });
    $ws->ask({ op => 'subscribe', topics => ['status'], servers => [ @id[ 1, 2 ] ] });
    events($ws);
    publish($_, 'One') for @id;
    is_deeply([ sort map { $_->{server} } events($ws) ], [ sort @id[ 0 .. 2 ] ], 'each event once');
    is($ws->ask({ op => 'unsubscribe', topics => ['status'], servers => [ $id[1] ] })->{op}, 'ack', 'one of them goes');
    publish($_, 'Two') for @id;
    is_deeply([ sort map { $_->{server} } events($ws) ], [ sort @id[ 0, 2 ] ], 'and is silent');
    $ws->ask({ op => 'subscribe', topics => ['status'], servers => ['*'] });
    events($ws);
    is($ws->ask({ op => 'unsubscribe', topics => ['status'], servers => [ $id[1] ] })->{code}, 'invalid', '"*" ends as a whole');

    # in the order they were sent, though a subscribe takes longer
    $ws->send_bytes(bytes({ op => 'subscribe', id => 'a', topics => ['logs'], servers => ['*'] }, { op => 'unsubscribe', id => 'b', topics => [ 'logs', 'status' ], servers => ['*'] }));
    is($ws->answer('a')->{op}, 'ack', 'subscribed');
    is($ws->answer('b')->{op}, 'ack', 'and not any more');
    line($id[0], 'silence');
    publish($id[0], 'silence');
    is_deeply([ grep { text($_) eq 'silence' } events($ws) ], [], 'nothing comes');
    $ws->close;
};

subtest 'cursors of many servers' => sub {
    my @at = map { line($id[$_], "old $_") } 0 .. 2;
    line($id[$_], "new $_") for 0 .. 2;
    reached();                          # or what has no cursor comes live
    my $ws = $t->ws(key => $acme->{key});
    $ws->ask({ op => 'subscribe', topics => ['logs'], servers => ['*'], since => { $id[0] => $at[0], $id[1] => '0' } });
    my @got = map { $ws->recv } 1 .. 3;
    is_deeply([ sort map { text($_) } @got ], [ 'new 0', 'new 1', 'old 1' ], 'of each what its cursor says') or diag JSON::PP->new->encode(\@got);
    is_deeply([ map { text($_) } events($ws) ], [], 'no more');
    line($id[$_], "live $_") for 0 .. 3;
    is_deeply([ sort map { text($_) } events($ws) ], [ map { "live $_" } 0 .. 3 ], 'live events of all');

    # one cursor for all: the last line seen, whichever server's it was
    my $last = line($id[3], 'last seen');
    my ($ms) = $last =~ /^(\d+)/;
    1 until time * 1000 > $ms + 2;      # ids of two streams can be equal
    line($id[$_], "unseen $_") for 0 .. 3;
    $ws->close;
    reached();
    $ws = $t->ws(key => $acme->{key});
    $ws->ask({ op => 'subscribe', topics => ['logs'], servers => ['*'], since => $last });
    is_deeply([ sort map { text($ws->recv) } 1 .. 4 ], [ map { "unseen $_" } 0 .. 3 ], 'one cursor for all, no gap');
    is_deeply([ map { text($_) } events($ws) ], [], 'no more');

    # a stream that is younger than the cursor is whole; one that was cut is not
    my $young = $t->server($acme, 'young')->{id};
    my $before = line($id[3], 'before');
    1 until time * 1000 > ($before =~ /^(\d+)/)[0] + 2;
    line($young, "young $_") for 1 .. 3;
    line($id[1], "cut $_", '=', 5) for 1 .. 8;
    reached();
    my $all = $t->ws(key => $acme->{key});
    $all->ask({ op => 'subscribe', topics => ['logs'], servers => ['*'], since => $before });
    my @more = map { $all->recv } 1 .. 9;
    is_deeply([ map { $_->{server} } grep { $_->{op} eq 'gap' } @more ], [ $id[1] ], 'a gap only where something was trimmed');
    is_deeply([ sort grep { /^young/ } map { text($_) } @more ], [ map { "young $_" } 1 .. 3 ], 'and all of the young one');
    $all->close;
    events($ws);

    # again, with a cursor, while the events flow: nothing comes twice
    line($id[0], "again $_") for 1 .. 3;
    reached();
    $ws->ask({ op => 'subscribe', topics => ['logs'], servers => [ $id[0] ], since => $last });
    my @all;
    push @all, text($ws->recv) while !@all || $all[-1] ne 'again 3' || @all < 7;
    is_deeply(\@all, [ map({ "again $_" } 1 .. 3), 'unseen 0', map { "again $_" } 1 .. 3 ], 'history is repeated because it was asked for');
    line($id[0], 'after');
    is_deeply([ map { text($_) } events($ws) ], ['after'], 'live goes on');

    $t->redis->call('DEL', "mchost:log:$id[0]");
    my $n = $ws->ask({ op => 'subscribe', topics => ['logs'], servers => [ $id[0] ], since => $last });
    my $gap = $ws->expect(sub { $_->{op} eq 'gap' });
    is($gap->{from}, $last, 'a stream that is gone: a gap');
    is($gap->{to}, undef, 'to nothing');
    line($id[0], 'a new one');
    is($ws->expect(sub { $_->{op} eq 'event' })->{data}{line}, 'a new one', 'and what comes is live');
    $ws->close;
};

subtest 'history longer than a page, under load, with what is trimmed' => sub {
    my $writer = MCHost::Process->forked('writer', sub {
        delete $t->redis->{client};
        line($id[2], "n$_", '=', 1500) for 1 .. 6000;
    });
    my $ws = $t->ws(key => $acme->{key});
    wait_for { ($t->redis->call('XLEN', "mchost:log:$id[2]") // 0) > 300 } 'some lines';
    $ws->ask({ op => 'subscribe', topics => ['logs'], servers => [ $id[2] ], since => '0' });
    my ($last, $n, @bad) = (undef, 0);
    while (1) {
        my $m = $ws->recv;
        undef $last if $m->{op} eq 'gap';
        next if $m->{op} ne 'event' || $m->{data}{line} !~ /^n(\d+)/;
        push @bad, "$last, then $1" if defined $last && $1 != $last + 1;
        ($last, $n) = ($1, $n + 1);
        last if $last == 6000;
    }
    is_deeply(\@bad, [], "in order, none twice and none missing without a word ($n lines)");
    $writer->wait(20);
    $ws->close;
};

subtest 'a reader who is slow is sent the newest state' => sub {
    my $ws = $t->ws(key => $acme->{key});
    $ws->ask({ op => 'subscribe', topics => ['status'], servers => ['*'] });
    publish($id[ $_ % 4 ], "state $_", { pad => 'x' x 4000 }) for 1 .. 3000;
    my @got;
    push @got, $ws->recv while !@got || text($got[-1]) ne 'state 3000';
    cmp_ok(scalar @got, '<', 2000, 'old state is dropped: ' . @got . ' of 3000 came');
    cmp_ok($t->metric('mchost_websocket_messages_dropped_total'), '>', 1000, 'and counted');
    my %last = map { $_->{server} => text($_) } @got, events($ws);
    is_deeply([ sort map { $last{$_} // '' } @id ], [ map { "state $_" } 2997 .. 3000 ], 'the newest of every server came');
    my (%at, @back);
    for (@got) { my ($n) = text($_) =~ /(\d+)/ or next; push @back, $n if ($at{ $_->{server} } // 0) > $n; $at{ $_->{server} } = $n }
    is_deeply(\@back, [], 'never an older after a newer one');
    $ws->close;
};

subtest 'a Redis that says nothing any more' => sub {
    my $ws = $t->ws(key => $acme->{key});
    $ws->ask({ op => 'subscribe', topics => [ 'status', 'logs' ], servers => ['*'] });
    events($ws);
    $proxy->mode('hang');
    my $start = time;
    wait_for { MCHost::Http::request($t->port, GET => '/readyz')->status == 503 } 'the silence to be noticed', 30;
    pass(sprintf 'noticed after %.1f s', time - $start);
    is($ws->ask({ op => 'ping' })->{op}, 'pong', 'the socket lives');
    $proxy->mode('pass');
    $proxy->drop;
    $ws->expect(sub { $_->{op} eq 'resync' }, 30);
    undef $witness;
    is((grep { $_->{op} eq 'resync' } events($ws)) + 0, 0, 'one resync for both topics');
    wait_for { line($id[0], 'back'); grep { text($_) eq 'back' } events($ws) } 'events';
    pass('events flow again');
    $ws->close;
};

subtest 'no first message' => sub {
    my $ws = $t->ws;
    my $start = time;
    is($ws->wait_close(15), 4408, 'closed with 4408');
    cmp_ok(time - $start, '>', 8, 'after ten seconds');
};

$t->nginx->stop;
$proxy->stop;
done_testing;
