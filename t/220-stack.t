# make up, down and run: a stack of its own VAR and ports; a second one beside
# it; data stay; what is in the way is named in one sentence; nothing is left.
# sanitized: no

use lib 't/lib';
use MCHost::Test;
use Fcntl qw(:flock);
use Time::HiRes qw(sleep time);

# Containers and their ports: not beside the tests of the engine.
mkdir 'build/t';
open my $lock, '>', 'build/t/podman.lock' or die "build/t/podman.lock: $!";
flock $lock, LOCK_EX;

my $dir = File::Temp::tempdir('mchs-XXXXXX', DIR => '/tmp', CLEANUP => 1);
my @stacks;

# What to call tools/stack with.
sub stack {
    my ($name) = @_;

    my $http = free_port();
    my $s = { name => $name, var => "$dir/$name", http => $http, game => free_port(100), admin => free_port() };
    push @stacks, $s;
    return $s;
}

# Runs tools/stack: (exit status, what it said).
sub stack_do {
    my ($s, $verb, %env) = @_;

    my $out = "$dir/$s->{name}.$verb." . ++$s->{runs};
    my $p = start($s, $verb, $out, %env);
    my $status = $p->wait(240);
    return (defined $status ? $status >> 8 : 'hangs', slurp($out));
}

sub start {
    my ($s, $verb, $out, %env) = @_;

    return MCHost::Process->spawn(name => "stack $verb", cmd => [ 'tools/stack', $verb ], log => $out,
        env => { VAR => $s->{var}, HTTP_PORT => $s->{http}, GAME_PORT => $s->{game}, ADMIN_PORT => $s->{admin}, %env });
}

sub credentials {
    my ($s) = @_;

    return { map { /^(\w+)=(.*)$/ ? ($1, $2) : () } split /\n/, slurp("$s->{var}/credentials") };
}

sub api {
    my ($s, $method, $path, $body) = @_;

    return MCHost::Http::request($s->{http}, $method, "/api/v1$path", $body, { Authorization => 'Bearer ' . credentials($s)->{api_key} });
}

sub ready { my ($s) = @_; return (eval { MCHost::Http::request($s->{http}, GET => '/readyz')->status } // 0) == 200 }

# Processes and mounts that belong to a stack.
sub left {
    my ($s) = @_;

    my @left;
    my ($run) = map { '/run/mchost-' . substr $_, 0, 12 } Digest::SHA::sha256_hex("$s->{var}\n");
    for my $cmd (glob '/proc/[0-9]*/cmdline') {
        my $line = slurp($cmd) =~ tr/\0/ /r;
        push @left, $line if $line =~ /\Q$s->{var}\E[\/ ]|\Q$run\E/ && $line !~ /tools\/stack|220-stack/;
    }
    push @left, grep { /\Q$s->{var}\E\/|\Q$run\E/ } split /\n/, slurp('/proc/self/mountinfo');
    push @left, $run if -e $run;
    return @left;
}

END {
    local $?;
    for my $s (@stacks) { system("VAR=$s->{var} tools/stack down >/dev/null 2>&1") if -d $s->{var} }
}

my $one = stack('one');
my ($id, $port);

subtest 'up' => sub {
    my ($status, $said) = stack_do($one, 'up');
    is($status, 0, 'up') or diag $said;
    ok(ready($one), 'readyz answers 200');
    my $c = credentials($one);
    is($c->{url}, "http://127.0.0.1:$one->{http}/", 'credentials: url');
    like($said, qr/\Q$c->{url}\E/, 'is printed');
    like($said, qr/\Q$c->{api_key}\E/, 'with the key');
    is((stat "$one->{var}/credentials")[2] & 07777, 0600, 'the file is for its owner alone');
    is((stat "$one->{var}/secrets/$_")[2] & 07777, 0600, "secrets/$_ as well") for map { m{([^/]+)$} } glob "$one->{var}/secrets/*";
    is(api($one, GET => '/me')->json->{tenant}{id}, $c->{tenant}, 'the key opens the demo tenant');
    like(MCHost::Http::request($one->{http}, GET => '/')->body, qr/<html/i, 'the dashboard');

    my $r = api($one, POST => '/servers', { name => 'kept', spec => { software => { type => 'demo', version => '1.20.4' } } });
    is($r->status, 201, 'a server') or diag $r->body;
    $id = $r->json->{id};
    ok(eval { wait_for { api($one, GET => "/servers/$id")->json->{status}{state} eq 'Running' } 'Running', 90 }, 'runs') or diag api($one, GET => "/servers/$id")->body;
    $port = api($one, GET => "/servers/$id")->json->{status}{address}{port};
    ok($port >= $one->{game} && $port < $one->{game} + 100, 'on one of its game ports');

    ($status, $said) = stack_do($one, 'up');
    is($status, 0, 'up again changes nothing') or diag $said;
    my @bad = grep { m{[\d.]+:(\d+)$} && !m{^127\.} } map { (split)[3] } grep { /:($one->{http}|$one->{admin}|$port)\b/ } split /\n/, qx(ss -Hltn);
    is_deeply(\@bad, [], 'everything listens on 127.0.0.1');
    my $ps = join "\n", map { slurp($_) =~ tr/\0/ /r } glob '/proc/[0-9]*/cmdline';
    unlike($ps, qr/\Q$_\E/, 'no secret on a command line') for map { slurp($_) } glob "$one->{var}/secrets/*";
};

subtest 'a second stack beside it' => sub {
    my $two = stack('two');
    my ($status, $said) = stack_do($two, 'up');
    is($status, 0, 'up') or diag $said;
    isnt(credentials($two)->{api_key}, credentials($one)->{api_key}, 'its own key');
    is(MCHost::Http::request($two->{http}, GET => '/api/v1/me', undef, { Authorization => 'Bearer ' . credentials($one)->{api_key} })->status, 401, "the first one's key is unknown");
    is_deeply(api($two, GET => '/servers')->json->{items}, [], 'its own servers');
    ($status, $said) = stack_do($two, 'down');
    is($status, 0, 'down') or diag $said;
    is_deeply([ left($two) ], [], 'nothing is left of it');
    ok(ready($one), 'the first one is untouched');
    is(api($one, GET => "/servers/$id")->json->{status}{state}, 'Running', 'with its game');
};

subtest 'a port in use' => sub {
    my $three = stack('three');
    my $squat = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $three->{http}, Listen => 1) or die;
    my ($status, $said) = stack_do($three, 'up');
    isnt($status, 0, 'is refused');
    like($said, qr/^mchost: port $three->{http} is in use/m, 'in one sentence');
    is(scalar(grep { /\S/ } split /\n/, $said), 1, 'and no more') or diag $said;
    is_deeply([ left($three) ], [], 'nothing is left');
};

subtest 'settings that are none' => sub {
    my $four = stack('four');
    for ([ HTTP_PORT => 'http', qr/HTTP_PORT is "http"/ ], [ GAME_PORT => 99999, qr/GAME_PORT/ ], [ ENGINE => 'docker', qr/ENGINE is "docker"/ ],
        [ REDIS_URL => 'nonsense', qr/REDIS_URL/ ])
    {
        my ($name, $value, $re) = @$_;
        my ($status, $said) = stack_do($four, 'up', $name => $value);
        isnt($status, 0, "$name=$value");
        like($said, $re, 'is named');
    }
    is_deeply([ left($four) ], [], 'nothing is left');
};

subtest 'down and up keep data' => sub {
    my $key = credentials($one)->{api_key};
    my ($status, $said) = stack_do($one, 'down');
    is($status, 0, 'down') or diag $said;
    is_deeply([ left($one) ], [], 'no process, no mount, no directory') or diag join "\n", left($one);
    ok(!ready($one), 'nobody answers');
    is((stack_do($one, 'down'))[0], 0, 'down again');

    ($status, $said) = stack_do($one, 'up');
    is($status, 0, 'up') or diag $said;
    is(credentials($one)->{api_key}, $key, 'the same key');
    ok(eval { wait_for { api($one, GET => "/servers/$id")->json->{status}{state} eq 'Running' } 'Running', 90 }, 'the server runs again') or diag api($one, GET => "/servers/$id")->body;
    is(api($one, GET => "/servers/$id")->json->{status}{address}{port}, $port, 'on its port');
    is((stack_do($one, 'down'))[0], 0, 'down');
};

subtest 'run and Ctrl-C' => sub {
    my $out = "$dir/run.out";
    my $p = start($one, 'run', $out);
    ok(eval { wait_for { $p->alive or die 'it ended'; ready($one) && slurp($out) =~ /Ctrl-C/ } 'the stack', 120 }, 'runs in the foreground') or diag slurp($out);
    my ($pid) = slurp("$one->{var}/run/nginx.pid") =~ /^(\d+)/;
    kill KILL => $pid;
    ok(eval { wait_for { slurp($out) =~ /nginx ended unexpectedly/ && ready($one) } 'nginx', 60 }, 'starts again what ends by itself') or diag slurp($out);
    kill INT => -$p->pid;
    my $status = $p->wait(120);
    is(defined $status ? $status : 'hangs', 0, 'Ctrl-C ends it') or diag slurp($out);
    is_deeply([ left($one) ], [], 'and leaves nothing') or diag join "\n", left($one);
};

subtest 'killed, then up' => sub {
    my ($status, $said) = stack_do($one, 'up');
    is($status, 0, 'up') or diag $said;
    for my $name (qw(nginx reconciler redis postgres podman)) {
        my ($pid) = slurp("$one->{var}/run/$name.pid") =~ /^(\d+)/;
        kill KILL => $pid if $pid;
    }
    ok(eval { wait_for { !ready($one) } 'the end' }, 'everything was killed');
    ($status, $said) = stack_do($one, 'up');
    is($status, 0, 'up mends it') or diag $said;
    ok(ready($one), 'ready');
    is(api($one, GET => "/servers/$id")->status, 200, 'nothing is lost');
    api($one, DELETE => "/servers/$id?purge=true");
    ok(eval { wait_for { api($one, GET => "/servers/$id")->status == 404 } 'gone', 60 }, 'delete');
    is((stack_do($one, 'down'))[0], 0, 'down');
    is_deeply([ left($one) ], [], 'nothing is left');
};

done_testing;
