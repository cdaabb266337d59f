# The dashboard without a browser: its modules parse, hold to the rules that
# its Content-Security-Policy rests on, and their pure parts do what they say.
# sanitized: no

use lib 't/lib';
use MCHost::Test;
use File::Find qw(find);

my (@js, @css);
find(sub { push @js, $File::Find::name if /\.js$/; push @css, $File::Find::name if /\.css$/ }, 'dashboard');
ok(@js > 10 && @css > 2, 'there are modules and styles');

for my $file (sort @js) {
    my $out = qx(node --check $file 2>&1);
    is($?, 0, "$file parses") or diag($out);

    (my $code = slurp($file)) =~ s{/\*.*?\*/|^\s*//[^\n]*}{}gms;
    unlike($code, qr/\b(?:innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|eval)\b|new Function\b/,
        "$file makes no markup and no code from text");
    unlike($code, qr{(?:https?:)?//(?!aka\.ms/|www\.w3\.org/)[a-z0-9-]+\.[a-z]}, "$file reaches no other origin");
}

my $page = slurp('dashboard/index.html');
unlike($page, qr/<script(?![^>]*\bsrc=)|<style|\bstyle=|\son[a-z]+=|javascript:/i, 'nothing inline in the page');

for my $ref ($page =~ /(?:href|src)="([^"#]+)"/g) {
    ok(-f "dashboard/$ref", "$ref exists");
}

for my $file (sort @js) {
    my ($dir) = $file =~ m{^(.*)/};
    ok(-f "$dir/$_", "$file: import of $_") for slurp($file) =~ /\bfrom '(\.[^']+)'/g;
}

for my $file (sort @css) {
    unlike(slurp($file), qr/\@import|url\("?(?:https?:)?\/\//, "$file loads nothing from elsewhere");
}

for my $file (sort glob 't/unit-js/*.test.mjs') {
    my $out = qx(node --test --test-reporter=tap $file 2>&1);
    my $status = $?;
    my $n = 0;

    while ($out =~ /^(not )?ok \d+ - (.*)$/mg) {
        $n++;
        ok(!$1, $2);
    }

    is($status, 0, "$file passes") or diag($out);
    ok($n, 'and holds tests');
}

done_testing();
