# The harness itself: services come up, the fault proxy misbehaves as told,
# the clients read what is sent.

use lib 't/lib';
use MCHost::Test;
use Time::HiRes qw(time);

my $t = MCHost::Test->new(migrate => 0, nginx => 0);

subtest 'services' => sub {
    is($t->sql('SELECT 1 + 1'), '2', 'PostgreSQL answers');
    is($t->sql('SELECT current_user', user => 'mchost_api'), 'mchost_api', 'role of the API logs in');
    ok(!eval { $t->sql('SELECT nonsense'); 1 }, 'an error dies');
    like($@, qr/nonsense.*does not exist/, 'with the message');
    is($t->sql("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname LIKE 'mchost%' GROUP BY 1"), 'f', 'no role has power');

    $t->redis->call('XADD', 'mchost:log:x', '1-1', 'data', "1\r\n2");
    is_deeply($t->redis->client('nginx')->call('XRANGE', 'mchost:log:x', '-', '+'), [ [ '1-1', [ 'data', "1\r\n2" ] ] ], 'Redis keeps a stream');
    for my $no ([qw(GET mchost:x)], [qw(XRANGE other - +)], [qw(XADD mchost:log:x * a b)], [qw(SUBSCRIBE other)], ['FLUSHALL'], [qw(CONFIG GET *)], [qw(KEYS *)]) {
        ok(!eval { $t->redis->client('nginx')->call(@$no); 1 }, "nginx may not @$no");
    }
    for my $no ([qw(SET other 1)], ['FLUSHALL'], [qw(ACL LIST)], [qw(DEBUG SLEEP 0)]) {
        ok(!eval { $t->redis->client('reconciler')->call(@$no); 1 }, "the reconciler may not @$no");
    }
    ok(!eval { MCHost::Redis::Client->new($t->redis->path)->call('GET', 'mchost:x'); 1 }, 'no password, no entry');
    $t->redis->restart;
    is($t->redis->call('EXISTS', 'mchost:log:x'), 0, 'a restarted Redis is empty');

    my $s = $t->pg->session;
    is($s->do('BEGIN; SELECT 5'), '5', 'a session stays open');
    is($s->do('SELECT 6'), '6', 'for a second statement');
    $s->end;
};

subtest 'proxy' => sub {
    my $port = free_port();
    my $echo = MCHost::Process->forked('echo', sub {
        my $l = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 10, ReuseAddr => 1);
        while (my $c = $l->accept) {
            if (fork == 0) { while (sysread $c, my $b, 4096) { syswrite $c, $b } POSIX::_exit(0) }
            close $c;
        }
    });
    my $at = free_port();
    wait_for { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port") } 'echo server';
    my $p = MCHost::Proxy->new(listen => $at, to => $port);
    my $read = sub {
        my ($c, $time) = @_;
        my $got;
        sysread $c, $got, 99 if IO::Select->new($c)->can_read($time);
        return $got;
    };
    my $dial = sub { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$at") };

    my $c = $dial->();
    syswrite $c, 'hello';
    is($read->($c, 5), 'hello', 'pass');
    $p->mode('hang');
    syswrite $c, 'late';
    is($read->($c, 0.2), undef, 'hang');
    $p->mode('bytes');
    my $late = '';
    $late .= $read->($c, 5) while length $late < 4;
    is($late, 'late', 'byte by byte');
    $p->mode('delay', 150);
    my $start = time;
    syswrite $c, 'x';
    is($read->($c, 5), 'x', 'delayed');
    cmp_ok(time - $start, '>', 0.14, 'by as much as asked');
    $p->mode('cut', 3);
    syswrite $c, 'abcdef';
    my $got = '';
    while (defined(my $b = $read->($c, 5))) { last unless length $b; $got .= $b }
    is($got, 'abc', 'cut after three bytes');
    $p->mode('pass');
    $c = $dial->();
    syswrite $c, 'a';
    $read->($c, 5);
    $p->mode('reset', 0);
    syswrite $c, 'b';
    IO::Select->new($c)->can_read(5);
    ok(!defined sysread($c, my $b, 1), 'reset');
    $p->mode('refuse');
    ok(!$dial->(), 'refuse');
    $p->mode('pass');
    ok($dial->(), 'listens again');
    $p->stop;
    $echo->stop('KILL');
};

subtest 'clients' => sub {
    my $ws = bless { in => MCHost::WebSocket::frame(1, 'x' x 200, mask => 0) . MCHost::WebSocket::frame(9, '', mask => 0) }, 'MCHost::WebSocket';
    is_deeply($ws->_parse, { op => 1, fin => 1, rsv => 0, masked => 0, payload => 'x' x 200 }, 'a frame of 200 bytes');
    is($ws->_parse->{op}, 9, 'and a ping behind it');
    is($ws->_parse, undef, 'and no more');
    like(uuid7(), qr/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/, 'uuid7');
    my ($token, $hash) = new_token('01926e3a-0000-7000-8000-000000000001');
    like($token, qr/^mch_[0-9a-f]{32}_[A-Za-z0-9_-]{43}$/, 'token');
    is(length $hash, 64, 'hash');
};

subtest 'a child ends with its test' => sub {
    my $script = "$t->{dir}/child.t";
    open my $f, '>', $script or die;
    print $f 'use lib "t/lib"; use MCHost::Test; my $t = MCHost::Test->new(postgres => 0, nginx => 0);'
        . ' print "# dir $t->{dir} pid $t->{redis}{proc}{pid}\n"; $| = 1; print "# go\n"; sleep 60;';
    close $f;
    for my $sig (qw(INT KILL)) {
        my $p = MCHost::Process->spawn(name => 'child', cmd => [ $^X, $script ], log => "$t->{dir}/child.$sig");
        my ($dir, $pid) = wait_for { slurp("$t->{dir}/child.$sig") =~ /go/ && [ slurp("$t->{dir}/child.$sig") =~ /dir (\S+) pid (\d+)/ ] } 'child';
        ($dir, $pid) = @$dir;
        ok(kill(0, $pid), "$sig: Redis runs");
        $p->signal($sig);
        $p->wait(20);
        wait_for { !kill 0, $pid } "$sig: Redis to end";
        pass("$sig: Redis ends");
        ok(!-e $dir, "$sig: the directory is gone") if $sig eq 'INT';
        File::Path::remove_tree($dir);
    }
};

done_testing;
