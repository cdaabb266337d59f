# Reload with requests and sockets open; old workers go.

use lib 't/lib';
use MCHost::Test;
use Time::HiRes qw(time);

my $t = MCHost::Test->new(nginx => { WORKERS => 2, QUERY_TIMEOUT => '10s' });
my $acme = $t->tenant('acme');
my $id = $t->server($acme, 'main')->{id};

sub me { return $t->api(GET => '/me', key => $acme->{key}) }

subtest 'requests in flight' => sub {
    my @old = $t->nginx->workers;
    my $lock = $t->pg->session;
    $lock->do('BEGIN; LOCK TABLE tenants IN ACCESS EXCLUSIVE MODE');
    my @c = map { $t->api_begin(GET => '/me', key => $acme->{key}) } 1 .. 6;
    wait_for { $t->sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'mchost_api' AND wait_event_type = 'Lock'") >= 1 } 'requests to wait';
    $t->nginx->reload;
    $lock->do('COMMIT');
    $lock->end;
    is(join(' ', map { my $r = $_->receive; $r ? $r->status : 0 } @c), '200 200 200 200 200 200', 'are answered');
    wait_for { my %now = map { $_ => 1 } $t->nginx->workers(1); !grep { $now{$_} } @old } 'old workers to exit', 15;
    pass('old workers exit');
    is(me()->status, 200, 'new ones answer');
};

subtest 'sockets open' => sub {
    my @old = $t->nginx->workers;
    my @ws = map { $t->ws(key => $acme->{key}) } 1 .. 6;
    is($_->ask({ op => 'subscribe', topics => ['status'], servers => ['*'] })->{op}, 'ack', 'subscribed') for @ws;
    $t->nginx->reload;
    my @code = map { eval { $_->wait_close(15) } // "nothing: $@" } @ws;
    is_deeply(\@code, [ (1001) x 6 ], 'are closed with 1001');
    wait_for { my %now = map { $_ => 1 } $t->nginx->workers(1); !grep { $now{$_} } @old } 'old workers to exit', 15;
    pass('old workers exit');
    my $ws = $t->ws(key => $acme->{key});
    is($ws->ask({ op => 'ping' })->{op}, 'pong', 'a new socket');
    $ws->close;
};

subtest 'reload under load' => sub {
    my $stop = time + 4;
    my ($ok, @bad) = (0);
    my $reloads = 0;

    while (time < $stop) {
        my @c = map { $t->api_begin(GET => $_ % 2 ? '/me' : '/servers', key => $acme->{key}, headers => { Connection => 'close' }) } 1 .. 8;
        $t->nginx->{proc}->signal('HUP') if $reloads++ % 10 == 0;
        for (@c) {
            my $r = eval { $_->receive };
            $r && $r->status == 200 ? $ok++ : push @bad, $r ? $r->status : "none $@";
        }
    }
    cmp_ok($ok, '>', 100, "$ok requests");
    is_deeply(\@bad, [], 'none lost');
    wait_for { $t->nginx->workers(1) == 2 } 'old workers to exit', 20;
    pass('two workers in the end');
};

subtest 'a reload with a changed configuration' => sub {
    $t->nginx->configure($t->nginx->{template}, %{ $t->nginx->{vars} }, CONNECTIONS => 1, WORKERS => 1);
    $t->nginx->{proc}->signal('HUP');
    wait_for { $t->nginx->workers(1) == 1 } 'one worker', 20;
    is(me()->status, 200, 'answers');
    wait_for { $t->sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'mchost_api'") == 1 } 'one connection';
    pass('connections of the old pool are closed');
};

subtest 'a reload with a broken configuration' => sub {
    my @workers = $t->nginx->workers;
    $t->allow(qr/\[emerg\].*(mchost_api|nonsense)/);
    $t->nginx->configure($t->nginx->{template}, %{ $t->nginx->{vars} }, SERVER => 'location /x/ { mchost_api nonsense; }');
    $t->nginx->{proc}->signal('HUP');
    wait_for { slurp($t->nginx->{log}) =~ /unknown mchost_postgres "nonsense"/ } 'the error to be logged';
    is(join(' ', $t->nginx->workers), "@workers", 'changes nothing');
    is(me()->status, 200, 'and answers');
};

subtest 'a worker that is killed' => sub {
    $t->allow(qr/\[alert\].*worker process \d+ exited on signal 9/);
    my ($old) = $t->nginx->workers;
    my $before = $t->metric('mchost_http_requests_total');
    kill KILL => $old;
    wait_for { my ($w) = $t->nginx->workers; $w && $w != $old } 'a new worker';
    wait_for { me()->status == 200 } 'an answer';
    pass('is replaced');
    cmp_ok($t->metric('mchost_http_requests_total') // 0, '>=', $before // 0, 'counters live on') if defined $before;
};

subtest 'graceful end with sockets and requests' => sub {
    $t->nginx->configure($t->nginx->{template}, %{ $t->nginx->{vars} }, SERVER => '');
    my $ws = $t->ws(key => $acme->{key});
    $ws->ask({ op => 'subscribe', topics => ['status'], servers => ['*'] });
    $t->nginx->{proc}->signal('QUIT');
    is(eval { $ws->wait_close(12) }, 1001, 'a socket is closed with 1001');
    ok(defined $t->nginx->{proc}->wait(12), 'nginx ends');
};

done_testing;
