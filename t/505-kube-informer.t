# sanitized: no (the driver always is)
#
# The informer against a fake apiserver that misbehaves: whatever it does, the
# cache ends up as a fresh list would be.

use lib 't/lib';
use MCHost::Test;
use MCHost::Driver;
use MCHost::FakeKube;
use File::Temp ();

my $dir = File::Temp::tempdir('mch-XXXXXX', DIR => '/tmp', CLEANUP => 1);
my $k = MCHost::FakeKube->new($dir);

# selector, page, watch_s, compare_ms
sub informer {
    my (%o) = @_;

    return MCHost::Driver->start('kube_informer', $k->{kubeconfig}, '', $o{selector} // '', $o{page} // 0, $o{watch_s} // 0, $o{compare_ms} // 0);
}

sub items    { my ($d) = @_; return { map { /^item (\S+) (.*)/ ? ($1 => $2) : () } $d->ask('dump') } }
sub counters { my ($d) = @_; my ($line) = grep { /^done/ } $d->ask('dump'); return { $line =~ /(\w+)=(\d+)/g } }

# What the informer says in the end, however it gets there.
sub same {
    my ($d, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $there = $k->items;
    eval { wait_for { my $i = items($d); join(' ', map { "$_ $i->{$_}" } sort keys %$i) eq join(' ', map { "$_ $there->{$_}" } sort keys %$there) } 'the same', 40 };
    is_deeply(items($d), $there, "$name: as a fresh list");
}

sub pod     { my ($name, $phase) = @_; return $k->put('a', $name, { status => { phase => $phase // 'Running' } }) }
my ($d, $health);
sub watches { return scalar grep { /^watch/ } @{ $k->log } }
sub watching { my ($from) = @_; wait_for { watches() > $from } 'another watch', 40 }

# A watch that has brought something: pauses begin at the shortest again.
sub healthy {
    wait_for { my $log = $k->log; $log->[-1] =~ /^watch/ } 'a watch', 40;
    pod('health', 'n' . ++$health);
    $d->expect(qr/^put a\/health/, 40);
}

sub log_from { my ($n) = @_; my $log = $k->log; return @$log[ $n .. $#$log ] }

pod("p$_") for 1 .. 7;
$d = informer(page => 3);
is($d->expect(qr/^synced/), 'synced 7', 'synced once everything is listed');
watching(0);
same($d, 'three pages');
is_deeply([ map { s/=.*//r } @{ $k->log } ], [ 'list', 'list continue', 'list continue', 'watch 1007' ], 'pages, and a watch from the version of the list');

subtest 'events' => sub {
    pod('p8', 'Pending');
    is($d->expect(qr/^put a\/p8/), 'put a/p8 1008 new', 'added');
    pod('p8');
    is($d->expect(qr/^put a\/p8/), 'put a/p8 1009 changed', 'modified');
    $k->delete('a', 'p8');
    is($d->expect(qr/^gone/), 'gone a/p8', 'deleted');
    pod('p8', "\x{e9}\x{20ac}\x{1f980}");
    same($d, 'not ASCII');
};

subtest 'a bookmark moves the place to resume from, and is no object' => sub {
    my $n = @{ $k->log };
    $k->compact;
    $k->bookmark;
    wait_for { counters($d); 1 } 'an answer';
    pod('p9');
    $d->expect(qr/^put a\/p9/);
    $k->drop;
    $k->delete('a', 'p9');
    same($d, 'after it');
    unlike(join('|', log_from($n)), qr/list/, 'without a list');
};

subtest 'the stream is cut' => sub {
    for my $cut (1, 30, 333) {
        healthy();
        my $n = @{ $k->log };
        $k->cut($cut);
        pod('cut', "Running $cut \x{20ac}");
        same($d, "after $cut bytes of a line");
        unlike(join('|', log_from($n)), qr/list/, 'and without a list');
    }
    healthy();
    my $n = @{ $k->log };
    $k->cut(index(JSON::PP->new->utf8->canonical->encode({ type => 'MODIFIED', object => pod('utf', "\x{20ac}") }), "\xe2\x82") + 1);
    pod('utf', "\x{20ac}");
    same($d, 'within a character');
    unlike(join('|', log_from($n)), qr/list/, 'and without a list');
};

subtest 'expired' => sub {
    for my $how (qw(answer event)) {
        healthy();
        my $before = counters($d);
        $k->lose(1);
        $k->delete('a', 'p1');
        pod("new-$how");
        $k->lose(0);
        if ($how eq 'event') { $k->error(410) } else { $k->compact; $k->drop }
        $d->expect(qr/^gone a\/p1$/, 40);
        same($d, "410 as an $how");
        pod('p1');
        same($d, 'and the watch after it');
        cmp_ok(counters($d)->{gone}, '>', $before->{gone}, 'counted');
    }
};

subtest 'a list that is interrupted takes nothing away' => sub {
    healthy();
    my $from = $d->seen;
    $k->answer(continue => 410, 1);
    $k->lose(1);
    $k->delete('a', 'p2');
    $k->lose(0);
    $k->error(410);
    same($d, 'its token had expired');
    my @gone = grep { /^gone/ } @{ [ $d->seen ] }[ $from .. $d->seen - 1 ];
    is_deeply(\@gone, ['gone a/p2'], 'only what is gone');

    healthy();
    $k->answer(list => 500, 2);
    $k->error(410);
    pod('p2');
    same($d, 'refused twice');
    healthy();
    $k->refuse(1);
    $k->drop;
    pod('away');
    $k->refuse(0);
    same($d, 'nobody there');
};

subtest 'refused for now: the place is kept' => sub {
    healthy();
    my $n = @{ $k->log };
    $k->answer(watch => 429, 2, 'Retry-After: 1');
    $k->drop;
    pod('patience');
    same($d, '429');
    healthy();
    $k->refuse(1);
    $k->drop;
    pod('patience', 'Failed');
    wait_for { counters($d)->{cuts} } 'a cut';
    $k->refuse(0);
    same($d, 'nobody there');
    healthy();
    $k->error(500);
    pod('patience', 'Running');
    same($d, 'an error that is no 410');
    unlike(join('|', log_from($n)), qr/list/, 'and no list');
};

subtest 'lines that are no events' => sub {
    for my $garbage ('garbage', '{"type":"ADDED"}', '{"type":"STRANGE","object":{}}', '[]', '{"type":"ADDED","object":{"metadata":{}}}', '{"type":"MODIFIED","object":{"metadata":{"name":"x",', "\xff\xfe") {
        healthy();
        my $w = watches();
        $k->raw("$garbage\n");
        watching($w);
        pod('garbage', 'after ' . length $garbage);
        same($d, $garbage =~ s/[^ -~]/?/gr);
    }
    healthy();
    my $n = @{ $k->log };
    $k->raw("\n\r\n");
    pod('garbage', 'blank');
    same($d, 'empty ones are fine');
    is_deeply([ log_from($n) ], [], 'the watch goes on');
    $k->raw('x' x 65536, 80);
    pod('garbage', 'long');
    same($d, 'one without an end');
    like(join('|', log_from($n)), qr/list/, 'leads to a list');
};

subtest 'our own writes are seen at once' => sub {
    healthy();
    $k->lose(1);
    my $o = pod('own');
    my $json = JSON::PP->new->utf8->canonical;
    $d->ask('wrote ' . $json->encode($o));
    ok(items($d)->{'a/own'}, 'taken over');
    my $newer = pod('own', 'Failed');
    $d->ask('wrote ' . $json->encode($newer));
    $d->ask('wrote ' . $json->encode($o));
    is(items($d)->{'a/own'}, $k->items->{'a/own'}, 'an older answer that comes late is not');
    $d->ask("lost a own 00000000-0000-4000-8000-000000000000");
    ok(items($d)->{'a/own'}, 'another one was lost');
    $d->ask("lost a own $o->{metadata}{uid}");
    ok(!items($d)->{'a/own'}, 'this one');
    $k->lose(0);
    my $p = pod('later');
    $k->delete('a', 'later');
    $k->delete('a', 'own');
    $d->expect(qr/^gone a\/later/);
    $d->ask('wrote ' . $json->encode($p));
    ok(!items($d)->{'a/later'}, 'the answer to a write of what is gone again comes too late');
    same($d, 'in the end');
};

subtest 'another object of the same name' => sub {
    healthy();
    pod('twin');
    $d->expect(qr/^put a\/twin/);
    $k->lose(1);
    $k->delete('a', 'twin');
    $k->lose(0);
    pod('twin', 'Pending');
    $d->expect(qr/^gone a\/twin/);
    like($d->expect(qr/^put a\/twin/), qr/new$/, 'is gone, and new');
    same($d, 'both');
};

subtest 'a cluster restored from a backup counts from further back' => sub {
    $k->delete('a', $_) for qw(cut utf);
    healthy();
    $k->restore(5);
    $k->error(410);
    same($d, 'smaller versions');
    pod('after');
    same($d, 'and the watch after it');
};

ok($d->stop, 'ends without a leak');

subtest 'half-open: neither events nor an end' => sub {
    my $e = informer(watch_s => 1);
    my $w = watches();
    $e->expect(qr/^synced/);
    watching($w);
    $k->mute(1);
    pod('muted');
    same($e, 'found by the deadline');
    is(counters($e)->{lists}, 1, 'without a list');
    ok($e->stop, 'ends');
};

subtest 'a lost event' => sub {
    my $e = informer(compare_ms => 500);
    $e->expect(qr/^synced/);
    $k->lose(1);
    pod('unheard');
    $k->delete('a', 'p3');
    $k->lose(0);
    same($e, 'is found by comparing with a full list');
    ok(counters($e)->{compare}, 'counted');
    ok(scalar(grep { /same$/ } $e->seen), 'unchanged ones are told apart');
    ok($e->stop, 'ends');
};

subtest 'many' => sub {
    pod("many-$_") for 1 .. 3000;
    my $e = informer(page => 1000);
    $e->expect(qr/^synced/, 60);
    same($e, '3,000 objects');
    $k->delete('a', "many-$_") for 1 .. 1500;
    same($e, 'half of them gone');
    ok($e->stop, 'ends');
};

done_testing();
