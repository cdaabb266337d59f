package MCHost::Routes;

# The API's routes and the statements, read from their sources, so that a test
# that goes through all of them notices one that is new.

use strict;
use warnings;

# The route table, in order: { method, pattern ("servers/{id}"), name ("GET
# /servers/{id}"), scope, body (NONE, JSON, MERGE_PATCH), args [names], begin }.
sub all {
    my ($root) = @_;

    my $text = _slurp("$root/ngx_mchost_module/ngx_http_mchost_router.c");
    my ($table) = $text =~ /ngx_http_mchost_routes\[\] = \{(.*?)\n\};/s or die "no route table\n";
    my $entries = () = $table =~ /\{ NGX_HTTP_/g;
    my @routes;

    while ($table =~ /\{\s*NGX_HTTP_([A-Z]+),\s*"([^"]*)",\s*"([^"]*)",\s*NGX_HTTP_MCHOST_SCOPE_(\w+),
                      \s*NGX_HTTP_MCHOST_BODY_(\w+),\s*"([^"]*)",\s*(?:NULL|"[^"]*"),\s*(\w+)\s*\}/gx)
    {
        my %r = (method => $1, pattern => $2, name => $3, scope => $4, body => $5, args => [ map { s/:.*//r } split ' ', $6 ], begin => $7);
        $r{name} eq "$r{method} /$r{pattern}" or die "$r{name}: is $r{method} $r{pattern}\n";
        push @routes, \%r;
    }

    @routes && @routes == $entries or die "the route table has $entries entries, read: " . @routes . "\n";
    return @routes;
}

# The path of a pattern with the names filled in, escaped.
sub path {
    my ($pattern, %value) = @_;

    $pattern =~ s/\{(\w+)\}/escape($value{$1} \/\/ die "no value for {$1}\n")/ge;
    return "/$pattern";
}

sub escape {
    my ($text) = @_;

    $text =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ge;
    return $text;
}

# (\%fragment, statements in order: { name, params [names], text }).
sub statements {
    my ($root) = @_;

    my (%fragment, @statements);

    for my $file ("$root/sql/statements.sql", sort glob "$root/sql/statements_*.sql") {
        for my $block (split /^(?=-- (?:name|fragment): )/m, _slurp($file)) {
            my ($kind, $name) = $block =~ /^-- (name|fragment): (\w+)/ or next;
            my ($params) = $block =~ /^-- params: (.*)$/m;
            $block =~ s/^\s*--.*\n//mg;
            $block =~ s/;?\s*\z//;
            $fragment{$name} = $block if $kind eq 'fragment';
            push @statements, { name => $name, params => [ split /, */, $params // '' ], text => $block } if $kind eq 'name';
        }
    }

    return (\%fragment, @statements);
}

sub _slurp {
    my ($file) = @_;

    open my $f, '<', $file or die "$file: $!";
    local $/;
    return readline $f;
}

1;
