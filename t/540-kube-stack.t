# ENGINE=kubernetes: the whole platform on a cluster of its own, the tour of
# the README; down and up keep worlds; nothing is left.
# sanitized: no

use lib 't/lib';
use MCHost::Test;
use MCHost::Bot;

plan(skip_all => 'KUBECONFIG is set: the stack would use that cluster') if $ENV{KUBECONFIG};

my $dir = File::Temp::tempdir('mchs-XXXXXX', DIR => '/tmp', CLEANUP => 1);
my $var = "$dir/var";
my %env = (VAR => $var, HTTP_PORT => free_port(), GAME_PORT => free_port(100), ADMIN_PORT => free_port());
my $http = $env{HTTP_PORT};
my $runs = 0;

# Runs tools/stack: (exit status, what it said).
sub stack_do {
    my ($verb, %more) = @_;

    my $out = "$dir/$verb." . ++$runs;
    my $status = MCHost::Process->spawn(name => "stack $verb", cmd => [ 'tools/stack', $verb ], log => $out, env => { %env, %more })->wait(800);
    return (defined $status ? $status >> 8 : 'hangs', slurp($out));
}

sub credential { return slurp("$var/credentials") =~ /^$_[0]=(.*)$/m ? $1 : '' }
sub api { my ($method, $path, $body) = @_; return MCHost::Http::request($http, $method, "/api/v1$path", $body, { Authorization => 'Bearer ' . credential('api_key') }, timeout => 60) }
sub kubectl { my $args = join ' ', @_; return scalar qx(build/kube/kubectl --kubeconfig $var/data/kube/kubeconfig $args 2>&1) }

# Processes, mounts and directories of the stack.
sub left {
    my @left;
    my ($run) = map { '/run/mchost-' . substr $_, 0, 12 } Digest::SHA::sha256_hex("$var\n");
    my $kube = '/run/mchost-kube-' . slurp("$var/data/kube/port") =~ s/\s//gr;
    for my $cmd (glob '/proc/[0-9]*/cmdline') {
        my $line = slurp($cmd) =~ tr/\0/ /r;
        push @left, $line if $line =~ m{\Q$var\E[/ ]|\Q$run\E|\Q$kube\E/} && $line !~ /540-kube/;
    }
    push @left, grep { m{\Q$var\E/|\Q$run\E|\Q$kube\E/} } split /\n/, slurp('/proc/self/mountinfo');
    return (@left, grep { -e } $run, $kube);
}

END {
    local $?;
    system("VAR=$var tools/stack down >/dev/null 2>&1; [ ! -d $var/data/kube ] || VAR=$var/data t/kube/kube down >/dev/null 2>&1") if -d $var;
}

my ($id, $ns);
sub status { return api(GET => "/servers/$id")->json->{status} // {} }

sub running {
    my ($what) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $ok = eval { wait_for { my $s = status(); $s->{state} eq 'Running' && grep { $_->{type} eq 'Ready' && $_->{status} eq 'True' } @{ $s->{conditions} } } 'Running', 240 };
    ok($ok, $what) or diag explain(status()), kubectl('get mcsrv,pods,events -A'), slurp("$var/log/reconciler.log") =~ s/.*(?=(?:\n[^\n]*){20}$)//sr;
}

subtest 'up' => sub {
    my ($status, $said) = stack_do('up', ENGINE => 'kubernetes');
    is($status, 0, 'up') or diag $said;
    like($said, qr/KUBECONFIG=\Q$var\E/, 'says where the kubeconfig is');
    is((stat "$var/data/kube/kubeconfig")[2] & 07777, 0600, 'which is for its owner alone');
    is(MCHost::Http::request($http, GET => '/readyz')->status, 200, 'ready');
    isnt((stack_do('up', ENGINE => 'podman'))[0], 0, 'not with another engine while it runs');
    is((stack_do('up'))[0], 0, 'up again needs no engine');
    unlike($said, qr/kube-proxy/, 'its addresses are good');
};

subtest 'a server, made over REST' => sub {
    my $r = api(POST => '/servers', { name => 'lobby', spec => { software => { type => 'demo', version => '1.20.4' }, properties => { onlineMode => JSON::PP::false() }, storage => { size => '1Gi' } } });
    is($r->status, 201, 'create') or diag $r->body;
    $id = $r->json->{id};
    running('runs');
    $ns = 'mchost-' . credential('tenant');
    like(kubectl("-n $ns get mcsrv lobby"), qr/lobby +demo +1\.20\.4 +Running +0 /, 'is a MinecraftServer in the namespace of its tenant');
    like(kubectl("-n $ns get sts,svc,cm,secret,pvc -o name"), qr{statefulset\.apps/mc-lobby\n}, 'with a StatefulSet') or diag kubectl("-n $ns get all");

    my $a = status()->{address};
    # the Service leads to the pod once the kubelet's probe has seen it ready
    my $bot = eval { wait_for { MCHost::Bot->join_game(root(), $a->{host}, $a->{port}, 'Steve', '1.20.4') } 'the way in', 90 };
    ok($bot, 'a player joins at status.address') or diag $@, explain($a);
    $r = api(POST => "/servers/$id/console", { command => 'say hello there' });
    is($r->status, 200, 'console') or diag $r->body;
    ok($bot && eval { $bot->expect_chat(qr/hello there/) }, 'reaches the player') or diag $@;
    $bot->quit if $bot;
    ok(eval { wait_for { api(GET => "/servers/$id/logs?limit=200")->body =~ /Steve/ } 'the log', 60 }, 'its log tells of the player');
};

subtest 'the other door' => sub {
    like(kubectl('apply -f conf/examples/lobby.yaml'), qr/lobby created/, 'kubectl apply');
    like(kubectl('wait --for=condition=Ready --timeout=240s mcsrv/lobby'), qr/condition met/, 'wait') or diag kubectl('get mcsrv,pods,events');
    like(kubectl('get mcsrv lobby -o wide'), qr/True/, 'get');
    like(kubectl('delete --timeout=240s -f conf/examples/lobby.yaml'), qr/deleted/, 'delete');
    like(kubectl('get pvc'), qr/Bound/, 'its world is kept');
};

subtest 'down and up keep data' => sub {
    like(kubectl("-n $ns exec mc-lobby-0 -- sh -c 'echo kept > /data/kept; cat /data/kept'"), qr/^kept/m, 'something in the world');
    my ($status, $said) = stack_do('down');
    is($status, 0, 'down') or diag $said;
    is_deeply([ left() ], [], 'nothing is left') or diag join "\n", left();
    ($status, $said) = stack_do('up', ENGINE => 'kubernetes', KUBECONFIG => "$var/data/kube/kubeconfig");
    is($status, 0, 'up, with KUBECONFIG as kubectl wants it') or diag $said;
    running('runs again');
    like(kubectl("-n $ns exec mc-lobby-0 -- cat /data/kept"), qr/^kept/m, 'with its world');
    api(DELETE => "/servers/$id?purge=true");
    ok(eval { wait_for { api(GET => "/servers/$id")->status == 404 } 'gone', 240 }, 'delete with its world');
    like(kubectl("-n $ns get pvc,pods,mcsrv"), qr/No resources/, 'nothing of it is left');
    is((stack_do('down'))[0], 0, 'down');
    is_deeply([ left() ], [], 'nothing is left');
};

done_testing;
