# The operator is killed with -9 at its writes to the apiserver while a server
# is created, restarted, stopped and deleted: as a write goes out, and when it
# was done but its answer not read. Started again it converges, on one world.
# And the apiserver hangs, or is away.
# sanitized: only

use lib 't/lib';
use MCHost::Test;
use MCHost::KubeGate;

my $t = MCHost::Test->new(kube => 1, postgres => 0, redis => 0, nginx => 0);
my ($kube, $recon) = ($t->kube, $t->recon);
my $gate = MCHost::KubeGate->new($kube, "$t->{dir}/gate");
$recon->configure(kubeconfig => $gate->kubeconfig, ping_interval => '1s');
$recon->start;

sub server { my ($name) = @_; return $kube->get(MinecraftServer => $name) }
sub pod { my ($name) = @_; return $kube->get(Pod => "mc-$name-0") }
sub change { my ($name, $spec) = @_; return $kube->patch(MinecraftServer => $name, { spec => $spec }) }
sub make { my ($name, %spec) = @_; return $kube->server($name, shutdown => { announceSeconds => 0, graceSeconds => 20 }, %spec) }

sub later {
    my ($what, $cond, $timeout) = @_;

    return ok(eval { wait_for { $cond->() } $what, $timeout // 120 }, $what) || diag($@, $recon->tail);
}

sub is_state {
    my ($name, $state) = @_;

    my $s = server($name) or return 0;
    return ($s->{status}{state} // '') eq $state && $s->{status}{observedGeneration} == $s->{metadata}{generation}
        && ($state ne 'Running' || $kube->condition($s, 'Ready')->{status} eq 'True' && $kube->condition($s, 'ConfigInSync')->{status} eq 'True');
}

sub runs { my ($name, $what) = @_; return later($what // "$name runs", sub { is_state($name, 'Running') }) }

# The name's condition of a type, once its reason is this one.
sub reason {
    my ($name, $reason, $words, $type) = @_;

    my $c;
    later("$name: $reason", sub { $c = $kube->condition(server($name), $type // 'Degraded'); $c->{status} ne 'none' && $c->{reason} eq $reason }, 90)
        or return diag explain server($name)->{status};
    return like($c->{message}, $words, "… $c->{message}");
}

# -- kill -9 --

# What must hold at every moment.
my (%seen, @broken);

sub look {
    my ($name) = @_;

    my $s = server($name);
    my $claim = $s && $s->{status}{storage}{claimName};
    my @on = $claim ? grep { my $p = $_; $p->{status}{phase} !~ /^(Succeeded|Failed)$/
        && grep { ($_->{persistentVolumeClaim}{claimName} // '') eq $claim } @{ $p->{spec}{volumes} } } $kube->list('Pod') : ();
    push @broken, scalar(@on) . ' pods on one world' if @on > 1;
    return unless $s;
    my $g = $s->{status}{observedGeneration} // 0;
    push @broken, "observedGeneration falls from $seen{$name} to $g" if ($seen{$name} // 0) > $g;
    $seen{$name} = $g;
}

# Does something while the lives of the reconciler end at their first write,
# the second, … the fifth, and again, until what is wanted is there; a life
# whose first write is refused does nothing, so that those begin with the second.
my $max = 15;

sub lives {
    my ($what, $name, $when, $do, $want) = @_;

    my @fired;
    my $arm = sub { $gate->proxy->watch(k => ($when eq 'before' ? 2 : 1) + @fired % 5, pid => $recon->pid, when => $when) };
    $arm->();
    $do->();

    my $ok = eval {
        wait_for {
            look($name);
            if (defined(my $f = $gate->proxy->fired)) {
                push @fired, $f =~ s/\?.*//r =~ s{.*/namespaces/[^/]+/}{}r;
                wait_for { !$recon->{proc}->alive } 'its end', 10;
                $gate->proxy->watch(k => 1e9, pid => 0);
                $recon->start(wait => 0);
                $arm->() if @fired < $max;
            }
            $want->() && !defined $gate->proxy->fired;
        } $what, 150;
    };
    $gate->proxy->watch(k => 1e9, pid => 0);
    ok($ok, "$what, killed $when a write in " . @fired . ' lives') or diag($@, explain(\@fired, server($name)), $recon->tail);
    cmp_ok(scalar @fired, '>=', 1, join ', ', @fired);
}

for my $when (qw(after before)) {
    subtest "killed $when a write" => sub {
        my $name = "k-$when";
        my @how = ($name, $when);
        lives('created', @how, sub { make($name, storage => { size => '1Gi', retention => 'Delete' }) }, sub { is_state($name, 'Running') });
        my $claim = server($name)->{status}{storage}{claimName};
        my $world = $kube->get(PersistentVolumeClaim => $claim)->{metadata}{uid};
        my $uid = pod($name)->{metadata}{uid};

        lives('restarted', @how, sub { change($name, { properties => { motd => 'Other' }, restartToken => 'one' }) },
            sub { my $p = pod($name); is_state($name, 'Running') && $p && $p->{metadata}{uid} ne $uid });
        lives('stopped', @how, sub { change($name, { runPolicy => 'Stopped' }) }, sub { is_state($name, 'Stopped') && !pod($name) });
        lives('deleted', @how, sub { $kube->delete(MinecraftServer => $name) }, sub { !server($name) });
        is_deeply(\@broken, [], 'one pod, and a generation that grows');
        my $left = $kube->get(PersistentVolumeClaim => $claim);
        ok($left && $left->{metadata}{uid} eq $world && !$left->{metadata}{deletionTimestamp}, 'without a tombstone the world stays');
        later('the rest goes', sub { !grep { $kube->get($_ => "mc-$name") } qw(StatefulSet Service Secret) });
    };
}

# -- the apiserver --

subtest 'an apiserver that is not there' => sub {
    $recon->start if !$recon->{proc}->alive;
    make('away');
    runs('away', 'runs');
    my $up = sub { ($recon->admin('/metrics'))[1] =~ /^mchost_engine_up (\d)/m && $1 };
    my $token = 0;

    for my $mode (qw(refuse hang)) {
        my $uid = pod('away')->{metadata}{uid};
        $gate->proxy->mode($mode);
        $gate->proxy->drop if $mode eq 'refuse';
        change('away', { restartToken => 't' . ++$token });
        later("$mode: it is noticed", sub { !$up->() }, 120);
        my $before = () = $gate->requests;
        is(scalar $recon->admin('/livez'), 200, 'the reconciler lives');
        is(pod('away')->{metadata}{uid}, $uid, 'and does nothing');

        $gate->proxy->mode('pass');
        $gate->proxy->drop if $mode eq 'hang';
        later('it is back', $up, 120);
        later('and what was wanted meanwhile is done', sub { my $p = pod('away'); is_state('away', 'Running') && $p && $p->{metadata}{uid} ne $uid }, 180);
        my $n = (() = $gate->requests) - $before;
        cmp_ok($n, '<', 500, "without a storm: $n requests");
    }
};

done_testing;
