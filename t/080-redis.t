# Redis away: REST works and readyz says so; back: sockets are told to
# resynchronise.

use lib 't/lib';
use MCHost::Test;
use Time::HiRes qw(time);

my $t = MCHost::Test->new;
my $acme = $t->tenant('acme');
my $id = $t->server($acme, 'main')->{id};

sub me { return $t->api(GET => '/me', key => $acme->{key}) }
sub readyz { return MCHost::Http::request($t->port, GET => '/readyz') }

# As the reconciler does: publishes a status.
my $seq = 0;

sub publish {
    my ($state) = @_;

    $seq++;
    $t->redis->call('PUBLISH', "mchost:t:$acme->{id}:status", qq(1 $id $seq-0 2026-01-01T00:00:00Z {"state":"$state"}));
}

subtest 'from the start without Redis' => sub {
    my $ws = $t->ws(key => $acme->{key});
    is($ws->ask({ op => 'subscribe', topics => ['status'], servers => ['*'] })->{op}, 'ack', 'a socket');
    $t->redis->stop;
    is(me()->status, 200, 'REST works');
    wait_for { readyz()->status == 503 } 'readyz';
    like(readyz()->body, qr/redis/i, 'readyz names Redis');
    my $start = time;
    my $d = $t->api(POST => '/servers', key => $acme->{key}, body => { name => 'no-redis', spec => $t->spec });
    is($d->status, 201, 'a server is made');
    cmp_ok(time - $start, '<', 1, 'at once');
    my $c = $t->api(POST => "/servers/$id/console", key => $acme->{key}, body => { command => 'list' });
    is($c->status, 503, 'the console needs it');
    like($c->header('Retry-After') // '', qr/^\d+$/, 'Retry-After');
    is($ws->ask({ op => 'ping' })->{op}, 'pong', 'the socket lives');
    is($ws->ask({ op => 'command', server => $id, command => 'list' })->{op}, 'error', 'its commands are refused');

    my $new = $t->ws(key => $acme->{key});
    like($new->ask({ op => 'subscribe', topics => ['status'], servers => ['*'] })->{op}, qr/^(ack|error)$/, 'a new socket is answered');

    $t->redis->start;
    $ws->expect(sub { $_->{op} eq 'resync' }, 20);
    pass('resync');
    wait_for { readyz()->status == 200 } 'readyz to be well';
    wait_for { publish('Running'); eval { $ws->expect(sub { $_->{op} eq 'event' && $_->{data}{state} eq 'Running' }, 0.3) } } 'events to flow again';
    pass('events flow again');
    $_->close for $ws, $new;
};

subtest 'a Redis that is restarted many times' => sub {
    my $ws = $t->ws(key => $acme->{key});
    $ws->ask({ op => 'subscribe', topics => ['status'], servers => ['*'] });
    for my $round (1 .. 3) {
        $t->redis->restart;
        $ws->expect(sub { $_->{op} eq 'resync' }, 20);
        pass("resync $round");
    }
    wait_for { publish('Stopped'); eval { $ws->expect(sub { $_->{op} eq 'event' && $_->{data}{state} eq 'Stopped' }, 0.3) } } 'events';
    pass('events flow');
    is($ws->close, 1000, 'closes well');
};

subtest 'a Redis that kills our connections' => sub {
    my $ws = $t->ws(key => $acme->{key});
    $ws->ask({ op => 'subscribe', topics => ['status'], servers => ['*'] });
    $t->redis->call(qw(CLIENT KILL TYPE pubsub));
    $ws->expect(sub { $_->{op} eq 'resync' }, 20);
    pass('resync');
    $t->redis->call(qw(CLIENT KILL TYPE normal SKIPME yes));
    wait_for { readyz()->status == 200 } 'readyz';
    $ws->close;
};

subtest 'a Redis that refuses our password' => sub {
    $t->redis->call(qw(ACL SETUSER nginx off));
    $t->redis->call(qw(CLIENT KILL USER nginx));
    wait_for { readyz()->status == 503 } 'readyz';
    is(me()->status, 200, 'REST works');
    unlike(slurp($t->nginx->{log}), qr/redis-nginx-pw/, 'no password in the log');
    $t->redis->call(qw(ACL SETUSER nginx on));
    wait_for { readyz()->status == 200 } 'readyz', 40;
    pass('recovers');
};

subtest 'what travels is bounded and understood' => sub {
    my $ws = $t->ws(key => $acme->{key});
    $ws->ask({ op => 'subscribe', topics => ['status'], servers => ['*'] });
    $t->redis->call('PUBLISH', "mchost:t:$acme->{id}:status", $_)
        for '', 'nonsense', '2 x y z {}', "1 $id", "1 $id 1-0", '1 ' . 'x' x 36 . ' 1-0 t {}', "\0\0", 'x' x 100_000;
    publish('Failed');
    $ws->expect(sub { $_->{op} eq 'event' && ($_->{data}{state} // '') eq 'Failed' });
    pass('nonsense does no harm');
    $ws->close;
};

done_testing;
